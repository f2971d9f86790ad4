"""Files of fully digital fapiao: the XML (`EInvoice`), and OFD, a zip that holds it.

Law: a file comes from outside. Its size, its elements and what it unpacks to have bounds; document
types, entities and outside references are refused before anything is read.
"""

from __future__ import annotations

import io
import zipfile
from typing import Final
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from relayd.core.amount_words import amount_words
from relayd.core.currency import minor_text
from relayd.core.errors import RelayError
from relayd.core.fapiao import CURRENCY, FILE_BYTES_MAX
from relayd.core.issued import Issued, signed_minor
from relayd.wire.zipped import UNSOUND

ELEMENTS_MAX: Final = 5000
MARKS_MAX: Final = 4 * ELEMENTS_MAX
"""Brackets that open, and signs of equality: a text of tags alone takes a second to read."""
ENTRIES_MAX: Final = 200
UNPACKED_BYTES_MAX: Final = 16 * 1024 * 1024
ENTRY_BYTES_MAX: Final = 2 * 1024 * 1024
FIELD_CHARS_MAX: Final = 300
ROOT: Final = "EInvoice"
_BASIC: Final = "EInvoiceData/BasicInformation/"
_SPECIAL: Final = {"81": "special", "82": "ordinary", "专用发票": "special", "普通发票": "ordinary",
                   "01": "special", "02": "ordinary"}
_CUSTOM: Final = {"发票号码": "number", "开票日期": "day", "合计金额": "net", "合计税额": "tax",
                  "购买方纳税人识别号": "buyer", "销售方纳税人识别号": "seller"}


def read_xml(content: bytes) -> Issued:
    """What an XML says. Raises `fapiao_file`."""
    root = _root(content)
    if _local(root) != ROOT:
        raise RelayError("fapiao_file", param="xml")
    return _einvoice(root)


def _root(content: bytes) -> Element:
    if len(content) > FILE_BYTES_MAX:
        raise RelayError("fapiao_file", param="size")
    if max(content.count(b"<"), content.count(b"=")) > MARKS_MAX:
        raise RelayError("fapiao_file", param="size")
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise RelayError("fapiao_file", param="xml") from None
    for count, _ in enumerate(root.iter()):
        if count >= ELEMENTS_MAX:
            raise RelayError("fapiao_file", param="size")
    return root


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _bounded(text: str | None) -> str:
    """A field's text; none of those that are compared is long."""
    if text is not None and len(text) > FIELD_CHARS_MAX:
        raise RelayError("fapiao_file", param="size")
    return (text or "").strip()


def _einvoice(root: Element) -> Issued:
    def text(path: str) -> str:
        return _bounded(root.findtext(path))

    red = "EInvoiceData/SpecificInformation/RedEInvoice/"
    kind = text("Header/InherentLabel/GeneralOrSpecialVAT/LabelCode") \
        or text("Header/InherentLabel/GeneralOrSpecialVAT")
    issue = text("Header/InherentLabel/InIssuType/LabelCode") \
        or text("Header/InherentLabel/InIssuType")
    return Issued(
        number=text("TaxSupervisionInfo/InvoiceNumber"),
        issued_on=text("TaxSupervisionInfo/IssueTime")[:10].replace("/", "-"),
        red=issue == "N" or bool(text(red + "OriginalInvoiceCode")),
        net_minor=signed_minor(text(_BASIC + "TotalAmWithoutTax")),
        tax_minor=signed_minor(text(_BASIC + "TotalTaxAm")),
        total_minor=signed_minor(text(_BASIC + "TotalTax-includedAmount")),
        seller_uscc=text("EInvoiceData/SellerInformation/SellerIdNum"),
        buyer_uscc=text("EInvoiceData/BuyerInformation/BuyerIdNum"),
        seller_name=text("EInvoiceData/SellerInformation/SellerName"),
        buyer_name=text("EInvoiceData/BuyerInformation/BuyerName"),
        kind=_SPECIAL.get(kind),  # type: ignore[arg-type]
        words=text(_BASIC + "TotalTax-includedAmountInChinese"),
        blue_number=text(red + "OriginalInvoiceCode") or None,
        confirmation=text(red + "CreditNoteNumber") or None)


def read_ofd(content: bytes) -> Issued:
    """What an OFD says: by the XML that is in it, else by its own table of fields.

    Raises `fapiao_file`.
    """
    if len(content) > FILE_BYTES_MAX:
        raise RelayError("fapiao_file", param="size")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            texts = _texts(archive)
    except UNSOUND:
        raise RelayError("fapiao_file", param="ofd") from None
    table = None
    for name, text in texts.items():
        if name.rpartition("/")[2] == "OFD.xml":
            table = _root(text)
        elif b"EInvoice" in text:
            root = _root(text)
            if _local(root) == ROOT:
                return _einvoice(root)
    if table is None:
        raise RelayError("fapiao_file", param="ofd")
    return _custom(table)


def _texts(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The XML entries, unpacked within bounds whatever their heads say."""
    entries = archive.infolist()
    if len(entries) > ENTRIES_MAX:
        raise RelayError("fapiao_file", param="size")
    found, whole = {}, 0
    for entry in entries:
        if not entry.filename.lower().endswith(".xml"):
            continue
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # what the others unpack to has no bound
            raise RelayError("fapiao_file", param="ofd")
        with archive.open(entry) as stream:
            text = stream.read(ENTRY_BYTES_MAX + 1)
        whole += len(text)
        if len(text) > ENTRY_BYTES_MAX or whole > UNPACKED_BYTES_MAX:
            raise RelayError("fapiao_file", param="size")
        found[entry.filename] = text
    return found


def _custom(root: Element) -> Issued:
    fields = {}
    for element in root.iter():
        name = _CUSTOM.get(element.get("Name", ""))
        if _local(element) == "CustomData" and name:
            fields[name] = _bounded(element.text)
    if set(fields) != set(_CUSTOM.values()):
        raise RelayError("fapiao_file", param="ofd")
    net, tax = signed_minor(fields["net"]), signed_minor(fields["tax"])
    day = fields["day"].replace("年", "-").replace("月", "-").replace("日", "")[:10]
    return Issued(
        number=fields["number"], issued_on=day, red=net < 0, net_minor=net, tax_minor=tax,
        total_minor=net + tax, seller_uscc=fields["seller"], buyer_uscc=fields["buyer"])


def write_xml(says: Issued, lines: tuple[tuple[str, str], ...] = ()) -> bytes:
    """The XML of a fapiao. `lines`: an item and its rate; what is applied for has no number yet.
    """
    root = Element(ROOT)
    _put(root, {
        "Header/EInvoiceTag": "SWEI3200", "Header/Version": "0.2",
        "Header/InherentLabel/InIssuType/LabelCode": "N" if says.red else "Y",
        "Header/InherentLabel/GeneralOrSpecialVAT/LabelCode":
            "01" if says.kind == "special" else "02",
        "EInvoiceData/SellerInformation/SellerIdNum": says.seller_uscc,
        "EInvoiceData/SellerInformation/SellerName": says.seller_name,
        "EInvoiceData/BuyerInformation/BuyerIdNum": says.buyer_uscc,
        "EInvoiceData/BuyerInformation/BuyerName": says.buyer_name,
        _BASIC + "TotalAmWithoutTax": minor_text(says.net_minor, CURRENCY),
        _BASIC + "TotalTaxAm": minor_text(says.tax_minor, CURRENCY),
        _BASIC + "TotalTax-includedAmount": minor_text(says.total_minor, CURRENCY),
        _BASIC + "TotalTax-includedAmountInChinese": amount_words(says.total_minor)})
    for item, rate in lines:
        line = SubElement(root[1], "IssuItemInformation")
        _put(line, {"ItemName": item, "Amount": minor_text(says.net_minor, CURRENCY),
                    "TaxRate": rate, "ComTaxAm": minor_text(says.tax_minor, CURRENCY)})
    if says.red:
        _put(root, {
            "EInvoiceData/SpecificInformation/RedEInvoice/OriginalInvoiceCode": says.blue_number,
            "EInvoiceData/SpecificInformation/RedEInvoice/CreditNoteNumber": says.confirmation})
    _put(root, {"TaxSupervisionInfo/InvoiceNumber": says.number,
                "TaxSupervisionInfo/IssueTime": says.issued_on})
    made: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return made


def _put(root: Element, values: dict[str, str | None]) -> None:
    for path, value in values.items():
        element = root
        *groups, name = path.split("/")
        for group in groups:
            found = element.find(group)
            element = SubElement(element, group) if found is None else found
        if value:
            SubElement(element, name).text = value
