"""Builds the Debian package: `python -m tools.deb` writes dist/relayd_VERSION_ARCH.deb.

The package has relayd and its dependencies, from the lock, in an environment of its own below
/usr/lib/relayd; of Debian it uses Python, libc and the certificates of authorities. It is for the
Debian release that it is built on, whose Python's version it depends on.

Law: nothing outside dist/ is written. Bytecode is part of the package, so that the environment
never changes; times of files are that of the newest source, so that the same sources give the
same package. That time is in the version too, so that apt replaces a package by one of later
sources.
"""

from __future__ import annotations

import argparse
import compileall
import gzip
import os
import platform
import py_compile
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools import completion, manual
from tools.lock import LOCK, ROOT, SBOM, own_version

ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
REVISION: Final = 1
PYTHON: Final = f"python3.{sys.version_info.minor}"
HOME: Final = Path("usr/lib/relayd")
PACKAGING: Final = ROOT / "packaging" / "debian"
SCRIPTS: Final = ("postinst", "prerm", "postrm")
CONFIGURATION: Final = {"etc/relayd/relayd.toml": PACKAGING / "relayd.toml",
                        "etc/relayd/prices.toml": ROOT / "config" / "prices.toml"}
UNITS: Final = ("relayd.service", "relayd@.service", "relayd.socket")
SOURCES: Final = ("relayd", "config", "setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md",
                  "LICENSE", "CHANGELOG.md", "requirements.lock", "sbom.cdx.json")
PACKAGED: Final = (*SOURCES, "packaging", "tools")
"""What the package is made of: tools has the manual."""
PROGRAM: Final = f"""\
#!/{HOME}/bin/python3 -sP
import sys
from relayd.cli import main
sys.exit(main())
"""
"""-sP: neither the user's packages nor the folder that one stands in."""
VENV: Final = f"""\
home = /usr/bin
include-system-site-packages = false
version = 3.{sys.version_info.minor}
executable = /usr/bin/{PYTHON}
"""
CONTROL: Final = """\
Package: relayd
Version: {version}
Architecture: {architecture}
Section: net
Priority: optional
Maintainer: the authors of relayd <relayd@localhost>
Installed-Size: {kibibytes}
Depends: {python}, libc6 (>= 2.28), libstdc++6, ca-certificates
Recommends: systemd (>= 252)
Suggests: nginx | caddy, prometheus
Description: LLM relay: OpenAI, Anthropic and Gemini traffic, unseen and counted
 relayd stands between clients and the providers of language models. Clients
 use keys of the relay; providers see neither clients nor their addresses;
 each call is counted, priced and recorded, and no content is kept.
 .
 relayd demo runs it with a built-in provider, without network or keys.
"""


def package_version() -> str:
    """As dpkg has it: later sources have a higher one."""
    made = time.strftime("%Y%m%d%H%M%S", time.gmtime(epoch()))
    return f"{own_version()}+{made}-{REVISION}"


def epoch() -> int:
    """Unix seconds of the package: what reproducible builds are told, else of its sources."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or newest())


def architecture() -> str:
    """Debian's word for this machine."""
    return ARCHITECTURES[platform.machine()]


def pip(*words: str, cwd: Path | None = None) -> None:
    """Runs this environment's pip; it says only what goes wrong."""
    subprocess.run([sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *words],
                   check=True, cwd=cwd)


def own_wheel(folder: Path) -> Path:
    """relayd's wheel, built away from the checkout, so that nothing else gets into it."""
    source = folder / "source"
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name,
                            ignore=shutil.ignore_patterns("__pycache__"))
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--wheel-dir", str(folder), ".", cwd=source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(root: Path, wheel: Path) -> None:
    """What a venv has, with Debian's Python, and every package by its hash."""
    home = root / HOME
    packages = home / "lib" / PYTHON / "site-packages"
    target = ["install", "--no-deps", "--no-compile", f"--target={packages}"]
    pip(*target, "--only-binary=:all:", "--require-hashes", "-r", str(LOCK))
    pip(*target, "--no-index", str(wheel))
    for left in ("bin", "share"):
        shutil.rmtree(packages / left, ignore_errors=True)
    for record in packages.glob("*.dist-info/direct_url.json"):
        record.unlink()  # where the wheel was built is nobody's business
    (home / "bin").mkdir()
    (home / "pyvenv.cfg").write_text(VENV)
    (home / "bin" / "python3").symlink_to(f"/usr/bin/{PYTHON}")
    program = home / "bin" / "relayd"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    compiled = compileall.compile_dir(
        packages, quiet=2, stripdir=root, prependdir="/", workers=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    if not compiled:
        raise SystemExit("a module cannot be compiled")


def put(root: Path, path: str, content: bytes, mode: int = 0o644) -> None:
    """One file of the package."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(mode)


def packed(content: bytes) -> bytes:
    """gzip that is the same each time."""
    return gzip.compress(content, mtime=0)


def integration(root: Path) -> None:
    """What makes it a part of Debian: units, configuration, manual, completion, documents."""
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/relayd").symlink_to("../lib/relayd/bin/relayd")
    for name in UNITS:
        put(root, f"usr/lib/systemd/system/{name}", (ROOT / "config" / name).read_bytes())
    for path, source in CONFIGURATION.items():
        put(root, path, source.read_bytes())
    for name, text in manual.pages().items():
        section = name.rpartition(".")[2]
        put(root, f"usr/share/man/man{section}/{name}.gz", packed(text.encode()))
    put(root, "usr/share/bash-completion/completions/relayd", completion.script().encode())
    documents = "usr/share/doc/relayd"
    put(root, f"{documents}/copyright", (PACKAGING / "copyright").read_bytes())
    put(root, f"{documents}/changelog.gz", packed((ROOT / "CHANGELOG.md").read_bytes()))
    put(root, f"{documents}/sbom.cdx.json", SBOM.read_bytes())
    put(root, f"{documents}/examples/relayd.example.toml",
        (ROOT / "config" / "relayd.example.toml").read_bytes())


def control(root: Path) -> None:
    """DEBIAN/: what dpkg reads."""
    size = sum(file.lstat().st_size for file in root.rglob("*") if not file.is_dir())
    put(root, "DEBIAN/control", CONTROL.format(
        version=package_version(), architecture=architecture(), python=PYTHON,
        kibibytes=size // 1024).encode())
    put(root, "DEBIAN/conffiles", "".join(f"/{path}\n" for path in CONFIGURATION).encode())
    for name in SCRIPTS:
        put(root, f"DEBIAN/{name}", (PACKAGING / name).read_bytes(), 0o755)


def newest() -> int:
    """Unix seconds of the last change of a source: of the commit, where git has them all."""
    committed = _git("log", "-1", "--format=%ct", "--", *PACKAGED)
    if committed and not _git("status", "--porcelain", "--", *PACKAGED):
        return int(committed)
    return int(max(file.stat().st_mtime for file in _files()))


def _git(*words: str) -> str:
    """What it says; "" where there is no repository."""
    done = subprocess.run(["git", *words], cwd=ROOT, text=True, capture_output=True)
    return done.stdout.strip()


def _files() -> Iterator[Path]:
    for path in PACKAGED:
        yield from (file for file in (ROOT / path, *(ROOT / path).rglob("*"))
                    if "__pycache__" not in file.parts and file.is_file())


def build(into: Path) -> Path:
    """The package's file."""
    into.mkdir(parents=True, exist_ok=True)
    file = into / f"relayd_{package_version()}_{architecture()}.deb"
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        root.mkdir()
        environment(root, own_wheel(Path(folder)))
        integration(root)
        control(root)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root),
                        str(file)], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch())})
    return file


def main() -> int:
    """Builds and tells the file's name."""
    parser = argparse.ArgumentParser(prog="deb", description="Builds the Debian package.")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", metavar="FOLDER")
    print(build(parser.parse_args().into))
    return 0


if __name__ == "__main__":
    sys.exit(main())
