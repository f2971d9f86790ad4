"""An upload: a client's multipart/form-data read as it arrives and written anew for the provider.

Law: what goes upstream depends on the fields and files alone: not on the client's boundary, part
heads, file names, chunking, nor, up to BUFFER_BYTES of content, on the order of its parts. Larger
uploads flow: once their file is under way, what came before it is fixed, and fields that come
after it follow it. Nothing is written to disk; content is in no repr and no error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, Literal

from relayd.core.errors import RelayError
from relayd.wire.dialect import MODEL_NAME, Endpoint
from relayd.wire.identity import Pseudonyms
from relayd.wire.multipart_reader import MultipartReader, PartHead, boundary_of
from relayd.wire.openai_images import says_inline
from relayd.wire.upload_fields import (
    END_USER_OPERATIONS, FIELD_NAME, RANKS, UPLOAD_FIELDS, UploadField, flag, line_ends, list_name,
    number_text, shown,
)
from relayd.wire.upload_parts import KeptField, KeptFile, files_in_order, in_order, kept_file
from relayd.wire.walk import BodyPolicy

BUFFER_BYTES: Final = 1024 * 1024
PIECE_BYTES: Final = 64 * 1024
FIELD_BYTES_MAX: Final = 4 * 1024 * 1024
FIELDS_BYTES_MAX: Final = 16 * 1024 * 1024
"""One field, and all of them: reference voices come as data URLs."""

Use = Literal["field", "file", "skip"]


class Upload:
    """One upload. `feed` and `finish` take the client's body; `take` gives the provider's.

    `ready`: dispatch may begin. `whole`: all of it was here and is small, so that its length can
    be declared; the pieces of one `take` are then the whole body.
    """

    def __init__(self, endpoint: Endpoint, content_type: bytes, policy: BodyPolicy,
                 boundary: str) -> None:
        self._reader = MultipartReader(boundary_of(content_type))
        self._operation = endpoint.operation
        self._table: Mapping[str, UploadField] = UPLOAD_FIELDS[endpoint.operation]
        self._ranks = RANKS[endpoint.operation]
        self._policy = policy
        self._boundary = boundary.encode("ascii")
        self._fields: list[KeptField] = []
        self._files: list[KeptFile] = []
        self._out: deque[bytes] = deque()
        self._tail = bytearray()
        self._dropped: set[str] = set()
        self._seen: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._use: Use = "skip"
        self._row: UploadField | None = None
        self._value = bytearray()
        self._name = ""
        self._fields_bytes = 0
        self._content_bytes = 0
        self._opening: list[KeptField] | None = None
        self._opened = False
        self._end_user: str | None = None
        self.model: str | None = None
        self.stream = False
        self.finished = False
        self.whole = False

    def __repr__(self) -> str:
        return f"<Upload {self._operation} finished={self.finished}>"

    @property
    def dropped(self) -> tuple[str, ...]:
        """Names of the fields that were left out, sorted; complete once the upload is finished."""
        return tuple(sorted(self._dropped))

    @property
    def ready(self) -> bool:
        """Dispatch may begin: all is here, or the model is known and a large file under way."""
        return self.finished or self._opening is not None

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the client's body; raises RelayError where they are refused."""
        self._reader.feed(data, self)

    def finish(self) -> None:
        """The client's body is complete; raises RelayError where it was cut short."""
        self._reader.finish()
        self.finished = True
        if self._opening is None:
            self.whole = self._content_bytes <= BUFFER_BYTES
            self._commit()
        else:
            self._flush_fields()
        self._push(b"--%b--\r\n" % self._boundary)

    def text(self, name: str) -> str:
        """The value of a field that goes first, "" without it; nothing once it has been taken."""
        values = [field.value for field in self._opening or () if field.name == name]
        return values[0].decode() if values else ""

    def take(self, model: str, names: Pseudonyms | None = None) -> list[bytes]:
        """What can go upstream now, in pieces of PIECE_BYTES; only the last of all is shorter.

        `model` is what the provider is asked for; `names` gives the end user's pseudonym, without
        it there is none. Both count at the first call alone. Gives nothing before `ready`.
        """
        if self._opening is None:
            return []
        pieces: list[bytes] = []
        tail = self._tail
        if not self._opened:
            self._opened = True
            tail += self._opening_bytes(self._opening, model, names)
            self._opening.clear()
        while self._out or len(tail) >= PIECE_BYTES:
            while len(tail) >= PIECE_BYTES:
                pieces.append(bytes(tail[:PIECE_BYTES]))
                del tail[:PIECE_BYTES]
            if self._out:
                tail += self._out.popleft()
        if self.finished and tail:
            pieces.append(bytes(tail))
            tail.clear()
        return pieces

    # what the reader tells

    def part_begin(self, head: PartHead) -> None:
        """Decides what becomes of a part."""
        root, row = self._find(head.name)
        self._row = row
        self._name = head.name
        self._value.clear()
        if row is None:
            self._use = self._unknown(head, root)
        elif row.verdict == "refuse":
            raise RelayError("refused_field", param=row.name)
        elif row.verdict == "drop":
            self._use = "skip"
            self._dropped.add(row.name)
        elif row.shape in ("file", "files"):
            self._use = "file"
            self._check_single(row, head.name)
            self._begin_file(row, head)
        else:
            self._use = "field"
            self._check_single(row, head.name)

    def part_data(self, data: bytes) -> None:
        """Keeps, passes on or skips bytes of a part."""
        if self._use == "file":
            self._file_data(data)
        elif self._use == "field":
            if len(self._value) + len(data) > FIELD_BYTES_MAX:
                raise RelayError("invalid_field", param=shown(self._name))
            self._value += data

    def part_end(self) -> None:
        """Takes a field's value; ends a file."""
        if self._use == "field":
            self._take_value(self._row, self._name, bytes(self._value))
            self._value.clear()
        elif self._use == "file" and self._opening is not None:
            self._push(b"\r\n")

    # fields

    def _find(self, name: str) -> tuple[str, UploadField | None]:
        """The root of a field's name and its row; no row where the name has another shape."""
        match = FIELD_NAME.fullmatch(name)
        if match is None:
            return "", None
        row = self._table.get(match[1])
        if row is not None and match[2] and row.shape not in ("list", "object", "files"):
            row = None
        return match[1], row

    def _unknown(self, head: PartHead, root: str) -> Use:
        policy = self._policy
        passes = policy.unknown_fields == "pass" or head.name in policy.pass_fields \
            or root in policy.pass_fields
        if root and passes and not head.is_file:
            return "field"
        if policy.unknown_fields == "refuse":
            raise RelayError("unknown_field", param=shown(head.name))
        self._dropped.add(shown(head.name))
        return "skip"

    def _check_single(self, row: UploadField, name: str) -> None:
        """Refuses a second value for a field that takes one: which one counts is unclear."""
        if name in self._seen and row.shape not in ("list", "files") and name[-2:] != "[]":
            raise RelayError("invalid_field", param=shown(name))
        self._seen.add(name)

    def _take_value(self, row: UploadField | None, name: str, value: bytes) -> None:
        self._fields_bytes += len(value)
        if self._fields_bytes > FIELDS_BYTES_MAX:
            raise RelayError("invalid_field", param=shown(name))
        try:
            text = line_ends(value).decode()
        except UnicodeDecodeError:
            raise RelayError("invalid_field", param=shown(name)) from None
        if row is None:
            self._keep(len(self._ranks), name, text)
            return
        if row.verdict == "model":
            self._take_model(text)
        elif row.verdict == "stream":
            self._take_stream(row, text)
        elif row.verdict == "end_user":
            self._take_end_user(row, text)
        else:
            self._take_plain(row, name, text)

    def _take_model(self, text: str) -> None:
        if not MODEL_NAME.fullmatch(text):
            raise RelayError("invalid_field" if text else "missing_model", param="model")
        self.model = text
        self._content_bytes += len(text)

    def _take_stream(self, row: UploadField, text: str) -> None:
        self.stream = flag(row.name, text)
        if self.stream:
            self._keep(self._ranks[row.name], row.name, "true")

    def _take_end_user(self, row: UploadField, text: str) -> None:
        """Remembers who asks, until the pseudonym's key is known; too late after the opening.

        Of the two fields for it `safety_identifier` takes precedence, as the API documents.
        """
        if self._policy.end_user == "absent" or self._opening is not None:
            self._dropped.add(row.name)
        elif text and (self._end_user is None or row.name == "safety_identifier"):
            self._end_user = text

    def _take_plain(self, row: UploadField, name: str, text: str) -> None:
        if row.verdict == "data_urls" and not text.startswith("data:"):
            raise RelayError("refused_field", param=row.name)
        if row.verdict == "b64":
            if self._opening is not None or text != "b64_json":
                self._dropped.add(row.name)
            if self._opening is not None:  # the opening has it where the model knows it
                return
            text = "b64_json"
        if row.shape == "number":
            text = number_text(text.strip())
            if not text:
                return
        written = list_name(name) if row.shape == "list" else name
        self._keep(self._ranks[row.name], written, text)

    def _keep(self, rank: int, name: str, text: str) -> None:
        value = text.encode()
        self._fields.append(KeptField(rank, name, value))
        self._content_bytes += len(value)

    # files

    def _begin_file(self, row: UploadField, head: PartHead) -> None:
        rank = self._ranks[row.name]
        file = kept_file(row, rank, head.name, head.extension, head.content_type)
        if self._opening is None:
            self._files.append(file)
            self._commit_if_large()
        else:
            self._flush_fields()
            self._push_head(file)

    def _file_data(self, data: bytes) -> None:
        self._content_bytes += len(data)
        if self._opening is None:
            self._files[-1].chunks.append(data)
            self._commit_if_large()
        else:
            self._push(data)

    def _commit_if_large(self) -> None:
        """Asked only while a file is under way, and by counts alone: chunking changes nothing."""
        if self.model is not None and self._content_bytes > BUFFER_BYTES:
            self._commit()

    def _commit(self) -> None:
        """Fixes what goes first: the fields so far, then the files so far, in table order."""
        self._opening, self._fields = self._fields, []
        files, self._files = self._files, []
        under_way = None if self.finished else files.pop()
        for file in files_in_order(files):
            if self.finished and file.row.shape == "files":
                file.listed = sum(other.row is file.row for other in files) > 1
            self._push_file(file)
            self._push(b"\r\n")
        if under_way is not None:
            self._push_file(under_way)

    def _push_file(self, file: KeptFile) -> None:
        self._push_head(file)
        self._out.extend(file.chunks)
        file.chunks.clear()

    def _push_head(self, file: KeptFile) -> None:
        number = self._numbers[file.row.name] = self._numbers.get(file.row.name, 0) + 1
        self._push(file.head(self._boundary, number))

    # what is written

    def _opening_bytes(
        self, fields: list[KeptField], model: str, names: Pseudonyms | None
    ) -> bytes:
        ranks = self._ranks
        written = [KeptField(ranks["model"], "model", model.encode()), *fields]
        who = self._pseudonym(names)
        if who is not None:
            written.append(KeptField(ranks["user"], "user", who.encode()))
        if self._operation == "image_edit":
            written = self._inline(written, model)
        return b"".join([field.write(self._boundary) for field in in_order(written)])

    def _inline(self, fields: list[KeptField], model: str) -> list[KeptField]:
        """Asks for images themselves: a URL would lead the client to the provider's servers."""
        kept = [field for field in fields if field.name != "response_format"]
        if says_inline(self.model or "", model, len(kept) < len(fields)):
            rank = self._ranks["response_format"]
            kept.append(KeptField(rank, "response_format", b"b64_json"))
        return kept

    def _pseudonym(self, names: Pseudonyms | None) -> str | None:
        """What stands for the end user, whether the client named one or not."""
        if names is None or self._operation not in END_USER_OPERATIONS:
            return None
        return names.end_user(self._end_user)

    def _flush_fields(self) -> None:
        for field in in_order(self._fields):
            self._push(field.write(self._boundary))
        self._fields.clear()

    def _push(self, data: bytes) -> None:
        self._out.append(data)
