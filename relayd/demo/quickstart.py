"""What `relayd demo` prints: where it listens, the key, and commands to paste.

Law: everything shown works as it stands against this demo, in any shell, from any directory.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

OPENAI_MODEL: Final = "gpt-5.5"
ANTHROPIC_MODEL: Final = "claude-opus-5-5"
GEMINI_MODEL: Final = "gemini-3.8-flash"


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo: its origin (`http://HOST:PORT`), key, ops origin and configuration file.

    `link` signs in to the console as the demo's account, `email`, once; `desk` is the payment
    partners'.
    """

    origin: str
    ops: str
    config_file: str
    key: str = field(repr=False)
    program: str = "relayd"
    console: str = "http://127.0.0.1:8081"
    link: str = field(repr=False, default="")
    desk: str = ""
    email: str = "demo@example.org"

    def view(self, pid: int) -> Mapping[str, object]:
        """What `relayd demo --json` prints, in one line."""
        return {
            "openai": f"{self.origin}/v1", "anthropic": self.origin, "gemini": self.origin,
            "console": self.console, "sign_in": self.link, "ops": self.ops, "key": self.key,
            "desk": self.desk, "config": self.config_file, "pid": pid,
        }


def quickstart(demo: Demo) -> str:
    """The text for people."""
    parts = (_places(demo), _curl(demo), _python(), _agents(demo), _look(demo))
    return "\n".join(parts)


def _places(demo: Demo) -> str:
    return f"""\
relayd demo is running. A provider is built in: no network, no provider key, nothing leaves here.

  OpenAI      {demo.origin}/v1
  Anthropic   {demo.origin}
  Gemini      {demo.origin}
  API key     {demo.key}
  Console     {demo.link}
              (signs in once, within 15 minutes; below is how to get another)
  Payments    {demo.desk}
              (card, Alipay and WeChat Pay without money: top up under Balance in the console)

  export OPENAI_BASE_URL={demo.origin}/v1 OPENAI_API_KEY={demo.key}
  export ANTHROPIC_BASE_URL={demo.origin} ANTHROPIC_API_KEY={demo.key}
  export GOOGLE_GEMINI_BASE_URL={demo.origin} GEMINI_API_KEY={demo.key}
"""


def _curl(demo: Demo) -> str:
    return f"""\
Ask, in each dialect (the first one streams):

  curl -N {demo.origin}/v1/chat/completions \\
    -H 'Authorization: Bearer {demo.key}' -H 'Content-Type: application/json' \\
    -d '{{"model": "{OPENAI_MODEL}", "stream": true,
         "messages": [{{"role": "user", "content": "Hello"}}]}}'

  curl {demo.origin}/v1/messages \\
    -H 'x-api-key: {demo.key}' -H 'anthropic-version: 2023-06-01' \\
    -H 'Content-Type: application/json' \\
    -d '{{"model": "{ANTHROPIC_MODEL}", "max_tokens": 300,
         "messages": [{{"role": "user", "content": "Hello"}}]}}'

  curl {demo.origin}/v1beta/models/{GEMINI_MODEL}:generateContent \\
    -H 'x-goog-api-key: {demo.key}' -H 'Content-Type: application/json' \\
    -d '{{"contents": [{{"parts": [{{"text": "Hello"}}]}}]}}'
"""


def _python() -> str:
    """At the left edge, so that it can be pasted into Python."""
    return f"""\
The official SDKs, in Python, with the exports above (others alike):

from openai import OpenAI
print(OpenAI().responses.create(model="{OPENAI_MODEL}", input="Hello").output_text)

from anthropic import Anthropic
hello = [{{"role": "user", "content": "Hello"}}]
print(Anthropic().messages.create(
    model="{ANTHROPIC_MODEL}", max_tokens=300, messages=hello).content[0].text)

from google import genai
client = genai.Client()
print(client.models.generate_content(model="{GEMINI_MODEL}", contents="Hello").text)
"""


def _agents(demo: Demo) -> str:
    return f"""\
Agents, with the exports above:

  claude -p Hello --model {ANTHROPIC_MODEL}
  CODEX_API_KEY={demo.key} codex exec --skip-git-repo-check \\
    -c openai_base_url='"{demo.origin}/v1"' -m {OPENAI_MODEL} Hello
  mkdir -p ~/.gemini; test -e ~/.gemini/settings.json || \\
    echo '{{"security": {{"auth": {{"selectedType": "gemini-api-key"}}}}}}' \\
    > ~/.gemini/settings.json
  gemini --skip-trust -m {GEMINI_MODEL} -p Hello
"""


def _look(demo: Demo) -> str:
    config = shlex.quote(demo.config_file)
    return f"""\
Models that fail on purpose: demo-429 (and 400 to 529), demo-cut, demo-error, demo-slow,
demo-stall, demo-html, demo-noend. Others: demo-long, demo-think, demo-echo.

  {demo.program} usage --calls -c {config}      what was called, in how many tokens
  {demo.program} mail list -c {config}      mails that it would send; mail show ID: with links
  {demo.program} accounts sign-in-link {demo.email} -c {config}
  curl {demo.ops}/metrics      and /readyz /healthz

Ctrl-C ends it.
"""
