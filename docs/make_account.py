"""Writes the table of lines in docs/account.md: python docs/make_account.py.

A test demands that the two agree.
"""

from pathlib import Path

BEGIN, END = "<!-- lines: made by docs/make_account.py -->", "<!-- end of lines -->"
PAGE = Path(__file__).with_name("account.md")


def table() -> str:
    """The lines of `jensen.anatomy.line_table` as a table."""
    from jensen.anatomy.line_table import entries

    rows = ["| line | what it is | how it is computed |", "|---|---|---|"]
    for entry in entries():
        formula, method = (text.replace("|", "\\|") for text in (entry.formula, entry.method))
        rows.append(f"| {entry.label} | {formula} | {method} |")
    return "\n".join(rows)


def text() -> str:
    """The page with the table as it is now."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(text())
