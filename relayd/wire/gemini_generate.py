"""The fields of Gemini's generateContent, streamGenerateContent, countTokens, embedContent and
batchEmbedContents (google-genai 3.6).

Google's JSON is protobuf's: each name may also be written in snake_case, and an empty list or
object equals an absent one; an enumeration's number equals its name. Fields are written in
lowerCamelCase, so a verdict holds for both spellings.
"""

from __future__ import annotations

import re
from typing import Final

from relayd.core.errors import RelayError
from relayd.wire.extent import blob, opened
from relayd.wire.fields import (
    Act, Shape, Table, Verdict, by_name, copies, drop, enum, filled, items, number, refuse, remote,
    silent, whole,
)
from relayd.wire.openai_tools import choices
from relayd.wire.protobuf import octets, spelled, utc
from relayd.wire.schema import schema, typed_schema
from relayd.wire.tier import tier
from relayd.wire.walk import Walk

_STORED: Final = re.compile(
    r"gs://|https?://(?=[^/?#]*generativelanguage)[^/?#]*\.googleapis\.com"
    r"|(?:https?://[^/?#]*googleapis\.com(?::[0-9]+)?/|/)?"
    r"(?:upload/)?(?:v[0-9][^/]*/)?files/",
    re.IGNORECASE,
)
"""Each run is tried once from where it begins, so that no address costs more than its length."""


def _uri(value: object, walk: Walk) -> object:
    """`fileUri`: an address that the whole world can read passes; the operator's files do not."""
    if isinstance(value, str) and _STORED.match(value.strip()):
        raise RelayError("refused_field", param="contents.parts.fileData.fileUri")
    return value


def _shape(**verdicts: Verdict) -> Shape:
    return Shape(verdicts, snake_too=True)


_BLOB: Final = blob(_shape(mimeType=None, data=octets, displayName=None).put)
_FILE: Final = opened(_shape(mimeType=None, fileUri=_uri, displayName=None).put)

_PART: Final = Shape()
_PARTS: Final = items(_PART.put)
_PART.define({
    "text": None, "thought": None, "thoughtSignature": octets, "inlineData": _BLOB,
    "fileData": _FILE,
    "functionCall": _shape(id=None, name=None, args=None, partialArgs=spelled,
                           willContinue=None).put,
    "functionResponse": _shape(id=None, name=None, response=None, parts=_PARTS,
                               willContinue=None, scheduling=None).put,
    "executableCode": _shape(id=None, language=None, code=None).put,
    "codeExecutionResult": _shape(id=None, outcome=None, output=None).put,
    "toolCall": _shape(id=None, toolType=None, args=None).put,
    "toolResponse": _shape(id=None, toolType=None, response=None).put,
    "videoMetadata": _shape(startOffset=None, endOffset=None, fps=number,
                            contentLayers=spelled).put,
    **dict.fromkeys(("mediaResolution", "mediaProcessing", "documentMetadata",
                     "spreadsheetMetadata", "audioMetadata", "audioTranscription",
                     "speechMetadata"), spelled),
    "partMetadata": drop("contents.parts.partMetadata"), **copies("contents.parts"),
}, snake_too=True)
"""`args` and `response` are free JSON, kept in their order. `partMetadata` is the client's own:
where a part is from, for one."""

_CONTENT: Final = _shape(role=None, parts=_PARTS, **copies("contents")).put
_CONTENTS: Final = items(_CONTENT)
_SYSTEM: Final = _shape(role=silent, parts=_PARTS, **copies("systemInstruction")).put
_EMBEDDED: Final = _shape(role=silent, parts=_PARTS, **copies("contents")).put
"""Their role says nothing, SDKs write user, system or none: what is embedded are the parts."""

_FUNCTION: Final = _shape(
    name=None, description=None, parameters=typed_schema, parametersJsonSchema=schema,
    response=typed_schema, responseJsonSchema=schema, behavior=None,
    **copies("tools.functionDeclarations"),
).put

_MCP: Final = items(_shape(
    name=None,
    streamableHttpTransport=_shape(url=None, headers=by_name, timeout=None, sseReadTimeout=None,
                                   terminateOnClose=None).put,
).put)

_SEARCH: Final = _shape(
    apiKey=None, customConfigs=by_name, enableDataRetention=None, enableZeroDataRetention=None,
).put
"""Others' searches: `customConfigs` is a map, whose names are theirs."""

_TOOL: Final = _shape(
    functionDeclarations=items(_FUNCTION),
    googleSearch=_shape(
        searchTypes=spelled, blockingConfidence=None, excludeDomains=None,
        timeRangeFilter=_shape(startTime=utc, endTime=utc).put).put,
    googleSearchRetrieval=spelled,
    codeExecution=opened(spelled), urlContext=opened(spelled), computerUse=spelled,
    googleMaps=_shape(enableWidget=None, groundingTypes=spelled,
                      authConfig=drop("tools.googleMaps.authConfig")).put,
    enterpriseWebSearch=spelled, fileSearch=refuse("tools.fileSearch"),
    retrieval=refuse("tools.retrieval"), mcpServers=remote("tools.mcpServers", opened(_MCP)),
    exaAiSearch=remote("tools.exaAiSearch", opened(_SEARCH)),
    parallelAiSearch=remote("tools.parallelAiSearch", opened(_SEARCH)),
).put

_EVERY_TOOL: Final = items(_TOOL)


def _tools(value: object, walk: Walk) -> object:
    """A list: older SDKs write their only tool by itself, which Google takes for one of it."""
    read = _EVERY_TOOL(value, walk)
    return [read] if read and type(read) is dict else read


_MODE: Final = enum("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE")

_TOOL_CONFIG: Final = _shape(
    functionCallingConfig=_shape(mode=_MODE, allowedFunctionNames=None,
                                 streamFunctionCallArguments=None).put,
    retrievalConfig=filled(_shape(
        latLng=drop("toolConfig.retrievalConfig.latLng"),
        languageCode=drop("toolConfig.retrievalConfig.languageCode"),
    ).put),
    includeServerSideToolInvocations=None,
).put


def _delivery(value: object, walk: Walk) -> object:
    """How an answer's media come: in the answer. By a URI they would be kept at the provider."""
    if value != "INLINE":
        walk.drop("generationConfig.responseFormat.delivery")
    return "INLINE"


_MEDIUM: Final = _shape(
    mimeType=None, schema=schema, delivery=_delivery,
    gcsUri=refuse("generationConfig.responseFormat.gcsUri"),
    bitRate=number, sampleRate=number, aspectRatio=None, imageSize=None, duration=None,
    resolution=None,
).put

_VOICE: Final = _shape(
    prebuiltVoiceConfig=spelled,
    replicatedVoiceConfig=_shape(mimeType=None, voiceSampleAudio=octets, consentAudio=octets,
                                 voiceConsentSignature=spelled).put,
    voice=None,
).put

_SPEECH: Final = _shape(
    voiceConfig=_VOICE, languageCode=None,
    multiSpeakerVoiceConfig=_shape(
        speakerVoiceConfigs=items(_shape(speaker=None, voiceConfig=_VOICE).put)).put,
).put

GENERATION: Final[dict[str, Verdict]] = dict(
    candidateCount=choices, maxOutputTokens=number, temperature=number, topP=number, topK=number,
    seed=number, presencePenalty=number, frequencyPenalty=number, stopSequences=None,
    responseLogprobs=None, logprobs=number, responseMimeType=None, responseSchema=typed_schema,
    responseJsonSchema=schema, responseModalities=None,
    responseFormat=items(_shape(
        text=_MEDIUM, audio=_MEDIUM, image=_MEDIUM, video=_MEDIUM).put),
    thinkingConfig=_shape(includeThoughts=None, thinkingBudget=number, thinkingLevel=None).put,
    mediaResolution=None, speechConfig=_SPEECH, imageConfig=spelled,
    enableEnhancedCivicAnswers=None, audioTimestamp=None, enableAffectiveDialog=None,
    translationConfig=spelled, audioTranscriptionConfig=spelled,
    routingConfig=drop("generationConfig.routingConfig"), modelSelectionConfig=spelled,
    modelConfig=spelled,
)
"""The members of `generationConfig`. `routingConfig` may name another model."""


_SAFETY: Final = _shape(
    category=enum(*(f"HARM_CATEGORY_{name}" for name in (
        "UNSPECIFIED", "DEROGATORY", "TOXICITY", "VIOLENCE", "SEXUAL", "MEDICAL", "DANGEROUS",
        "HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT",
        "CIVIC_INTEGRITY"))),
    method=None,
    threshold=enum("HARM_BLOCK_THRESHOLD_UNSPECIFIED", "BLOCK_LOW_AND_ABOVE",
                   "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"),
).put

_GENERATE: Final[dict[str, Verdict]] = {
    "systemInstruction": whole(_SYSTEM),
    "contents": _CONTENTS,
    "tools": filled(_tools),
    "toolConfig": filled(_TOOL_CONFIG),
    "safetySettings": filled(items(_SAFETY)),
    "generationConfig": filled(_shape(**GENERATION).put),
    "serviceTier": tier("serviceTier"),
    "model": silent,
    "labels": drop("labels"),
    "store": drop("store"),
    "cachedContent": refuse("cachedContent"),
    "modelArmorConfig": refuse("modelArmorConfig"),
    "generationOutputConfig": refuse("generationOutputConfig"),
    "continuationToken": refuse("continuationToken"),
    "automaticContinuation": drop("automaticContinuation"),
}
"""The path names the model, so the body's copy goes."""


def _never_stored(fields: dict[str, object], walk: Walk) -> None:
    fields["store"] = False


GENERATE: Final = Table(_GENERATE, _never_stored, snake_too=True)


def _placed(table: Table) -> Act:
    """A request within the request, which names the model again: the one that is sent."""
    def act(value: object, walk: Walk) -> object:
        if type(value) is not dict:
            raise RelayError("invalid_field")
        value["model"] = ""
        placed = table.read(value, walk)
        walk.places.append(placed)
        return placed
    return act


_INNER: Final = Table({**_GENERATE, "model": None}, snake_too=True)

COUNT: Final = Table({
    "contents": _CONTENTS,
    "generateContentRequest": _placed(_INNER),
    **{name: verdict for name, verdict in _GENERATE.items() if name != "contents"},
}, snake_too=True)

_TASK: Final = enum(
    "TASK_TYPE_UNSPECIFIED", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "SEMANTIC_SIMILARITY",
    "CLASSIFICATION", "CLUSTERING", "QUESTION_ANSWERING", "FACT_VERIFICATION",
)

_EMBED: Final[dict[str, Verdict]] = {
    "model": silent,
    "content": _EMBEDDED,
    "taskType": _TASK,
    "title": None,
    "outputDimensionality": number,
    "autoTruncate": None,
    "embedContentConfig": filled(_shape(
        taskType=_TASK, title=None, outputDimensionality=number, autoTruncate=None,
        documentOcr=None, audioTrackExtraction=None,
    ).put),
}

EMBED: Final = Table(_EMBED, snake_too=True)
_REQUEST: Final = _placed(Table({**_EMBED, "model": None}, snake_too=True))

BATCH_EMBED: Final = Table({
    "requests": items(_REQUEST), "model": silent,
}, snake_too=True)
