"""The pages behind a receipt's and an invoice's address, and the invoice as a PDF."""

from __future__ import annotations

from html import escape
from typing import Any

from sandbox.pages import page, table
from sandbox.stripe_currency import display
from sandbox.stripe_papers import INVOICES, RECEIPTS
from sandbox.wire import Request, Response
from sandbox.world import World

Record = dict[str, Any]
PDF_PAGE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
    b" /Resources << /Font << /F1 5 0 R >> >> >>"
)
PDF_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


class PaperPages:
    """Everything under /papers/."""

    def __init__(self, world: World) -> None:
        self.book = world.book

    def handle(self, request: Request) -> Response:
        if request.path.startswith(RECEIPTS):
            charge = self.book.charges.get(request.path.removeprefix(RECEIPTS))
            return _receipt(charge) if charge and charge["receipt_url"] else _nothing()
        name, _, form = request.path.removeprefix(INVOICES).partition("/")
        invoice = self.book.invoices.get(name)
        if invoice is None:
            return _nothing()
        return _pdf(invoice) if form == "pdf" else _invoice(invoice)


def _nothing() -> Response:
    text = "<p>There is no such paper here.</p>"
    return page("No such paper", text, status=404, narrow=True, nav=False)


def _receipt(charge: Record) -> Response:
    amount = display(charge["amount"], charge["currency"])
    back = charge["amount_refunded"]
    refunded = f"<p>Refunded: {display(back, charge['currency'])}</p>" if back else ""
    body = f"<p>Amount paid: <strong>{amount}</strong></p>{refunded}"
    who = escape(str(charge["billing_details"]["email"]))
    return page("Receipt", f"{body}<p>{who}</p>", narrow=True, nav=False)


def _invoice(invoice: Record) -> Response:
    lines = [[escape(name), escape(value)] for name, value in _facts(invoice)]
    link = f'<p><a href="{escape(invoice["invoice_pdf"])}">Download PDF</a></p>'
    return page("Invoice", table(["", ""], lines, "") + link, narrow=True, nav=False)


def _facts(invoice: Record) -> list[tuple[str, str]]:
    currency = invoice["currency"]
    tax = sum(each["amount"] for each in invoice["total_taxes"])
    tax_ids = ", ".join(each["value"] for each in invoice["customer_tax_ids"] or [])
    return [
        ("Invoice number", invoice["number"]),
        ("From", invoice["account_name"]),
        ("To", invoice["customer_name"] or ""),
        ("Tax ID", tax_ids or "none"),
        *((line["description"], display(line["amount"], currency)) for line in _lines(invoice)),
        ("Tax", display(tax, currency)),
        ("Total", display(invoice["total"], currency)),
        *([("Footer", invoice["footer"])] if invoice["footer"] else []),
    ]


def _lines(invoice: Record) -> list[Record]:
    return list(invoice["lines"]["data"])


def _pdf(invoice: Record) -> Response:
    """Return the invoice as the smallest PDF that viewers open."""
    rows = [f"{name}: {value}" for name, value in _facts(invoice)]
    shown = " ".join(f"({_pdf_text(row)}) Tj T*" for row in rows)
    stream = f"BT /F1 11 Tf 60 780 Td 16 TL {shown} ET".encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        PDF_PAGE,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        PDF_FONT,
    ]
    return Response(200, _pdf_file(objects), "application/pdf")


def _pdf_text(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _pdf_file(objects: list[bytes]) -> bytes:
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    index = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return body + (
        b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, index)
        + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))
    )
