"""Reads tables of text. It infers encoding, separator, decimal mark and header where the file is
unambiguous, and notes them; otherwise it refuses the file and names the option that decides.
"""

import codecs
import csv
import itertools
import re
from pathlib import Path
from typing import Any, NamedTuple

from jensen.datasets._arrow_tables import table_part
from jensen.datasets._memory import refuse_beyond_memory
from jensen.datasets._part import Part, Reading

# The longer marks first: that of UTF-32 begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "'|'", " ": "blanks"}
_SEPARATORS_OF_R = "\t "
_MISSING = ("", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "?", "<na>", "#na")
_SAMPLE_LINES, _SAMPLE_CHARACTERS = 50, 1 << 22
_EXPONENT = r"([eE][+-]?\d+)?"
_NUMBERS = {
    mark: re.compile(
        rf"\s*([+-]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+){_EXPONENT}"
        r"|true|false|[+-]?inf(inity)?)\s*",
        re.IGNORECASE,
    )
    for mark in (".", ",")
}
_COMMA_NUMBER = re.compile(rf"\s*[+-]?\d*,\d+{_EXPONENT}\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?\s*")
_WHOLE_NUMBER = re.compile(r"\s*\d+\s*")


class Form(NamedTuple):
    """The format of a table: separator, decimal mark, and its first lines split into fields."""

    separator: str
    decimal: str
    lines: list[list[str]]


def read_csv(path: Path, reading: Reading) -> Part:
    """Reads a table of text with fields separated by commas, semicolons, tabs, '|' or blanks.

    Raises:
        ValueError: no text, lines of different lengths, columns that are no numbers, a first row
            that may be a header or a datum.

        read_csv(Path("x.csv"), Reading(header=False)).values
    """
    raw = path.read_bytes()
    refuse_beyond_memory(len(raw), f"{path} is a text")
    text, notes = _utf8(raw, path)
    text, comments, separator = _without_preamble(text)
    form = _form_of(text, separator)
    if not form.lines:
        raise ValueError(f"{path} holds no rows; write it again.")
    lines = form.lines
    # write.table of R names one column less than there are: the first holds the rows' names.
    widths = [len(line) for line in lines[:2]]
    lacking = form.separator in _SEPARATORS_OF_R and widths == [widths[-1] - 1, widths[-1]]
    unnamed = lacking and not any(_is_number(field, form.decimal) for field in lines[0])
    if unnamed:
        lines = [["", *lines[0]], *lines[1:]]
    _refuse_ragged(lines, form, path)
    header = reading.header
    if header is None:
        header = _has_header(lines, form.decimal, path)
    names = [name.strip().strip('"') for name in lines[0]] if header else None
    notes_on_form = []
    if form.separator != "," and max(map(len, lines)) > 1:
        notes_on_form.append(f"fields are separated by {_SEPARATORS[form.separator]}")
    if form.decimal == ",":
        notes_on_form.append("the decimal mark is a comma: 0,5 is one half")
    if comments:
        notes_on_form.append(f"{len(comments)} lines of comment (#) were left out")
    notes_on_form.append(
        "the first row was read as a header"
        if header
        else "no header was found: columns are named f0, f1, ..."
        if reading.header is None
        else "no row was read as a header: columns are named f0, f1, ..."
    )
    table = _parsed(text, form, header, names if unnamed else None, path)
    if names is not None and len(names) == len(table.column_names):
        table = table.rename_columns(names)
    if header:
        table, empty = _without_empty(table)
        names = table.column_names
        notes_on_form += ["an empty column without a name was left out"] if empty else []
    index = {}
    if names is not None and reading.index is None:
        index = _index_column(table, names, path, certain=reading.columns is not None)
    return table_part(
        table,
        str(path),
        reading,
        named=header,
        notes=(*notes, *notes_on_form),
        index=index if reading.index is None else None,
    )


def _utf8(raw: bytes, path: Path) -> tuple[bytes, tuple[str, ...]]:
    """Converts the text to UTF-8, with a note if it was in another encoding."""
    if raw.startswith(b"\x1f\x8b"):
        raise ValueError(f"{path} is compressed by gzip; unpack it: gunzip.")
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ValueError(
            f"{path} is a workbook or an archive, not a text; save the sheet as CSV (UTF-8)."
        )
    if (start := raw[:100].lstrip()[:1]) in (b"<", b"{"):
        kind = "HTML or XML" if start == b"<" else "JSON"
        raise ValueError(f"{path} is {kind}, not a table; save it as CSV (UTF-8).")
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), None)
    try:
        if encoding is not None:
            text = raw.decode(encoding).encode()
            return text, () if encoding == "utf-8-sig" else (f"the encoding is {encoding.upper()}",)
        if b"\0" in raw:
            raise ValueError(
                f"{path} holds NUL bytes: it is no text, or UTF-16 without its mark; save it in "
                "the encoding UTF-8."
            )
        if not raw.isascii():
            raw.decode()
        return raw, ()
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise ValueError(
                f"{path} starts as {encoding.upper()} but is none at byte {error.start} "
                f"({error.reason}); save it in the encoding UTF-8."
            ) from error
    # Digits are the same in every one of these encodings: only names can be misread.
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    note = "the encoding is not UTF-8: read as Windows-1252, so that names may look wrong"
    return text.encode(), (note,)


def _without_preamble(text: bytes) -> tuple[bytes, list[str], str | None]:
    """The text without empty lines before it, a spreadsheet's 'sep=;' and comments; the comments,
    and the separator. The last comment stays if it names as many columns as there are below, as
    numpy.savetxt writes it."""
    text = text.strip(b"\r\n") + b"\n"
    separator = None
    first, _, rest = text.partition(b"\n")
    if (match := re.fullmatch(rb'"?sep=(.)"?\s*', first, re.IGNORECASE)) is not None:
        separator, text = match[1].decode("latin-1"), rest
    comments = []
    while text.startswith(b"#"):
        first, _, text = text.partition(b"\n")
        comments.append(first.decode(errors="replace").strip())
        text = text.lstrip(b"\r\n")
    if comments and text:
        form = _form_of(text, separator)
        named = _fields(comments[-1], form.separator)
        below = [_is_number(field, form.decimal) for field in form.lines[0]]
        names = not any(_is_number(field, form.decimal) for field in named)
        if names and len(named) == len(below) and any(below):
            comments.pop()
            text = form.separator.join(named).encode() + b"\n" + text
    return text, comments, separator


def _fields(comment: str, separator: str) -> list[str]:
    plain = comment.lstrip("#").strip()
    fields = plain.split() if separator == " " else plain.split(separator)
    return [field.strip() for field in fields]


def _form_of(text: bytes, separator: str | None = None) -> Form:
    """The separator and the decimal mark under which most columns are numbers."""
    sample = text[:_SAMPLE_CHARACTERS].decode(errors="replace")
    lines = [line for line in itertools.islice(sample.splitlines(), _SAMPLE_LINES) if line.strip()]
    # The sample may end within a line.
    if len(text) > len(sample) and len(lines) > 1 and not sample.endswith("\n"):
        lines = lines[:-1]
    best, best_score = Form(",", ".", _split(lines, ",")), (-1.0, 0)
    for candidate in [separator] if separator in _SEPARATORS else _SEPARATORS:
        # Semicolons are tried always: as one column of decimal commas.
        if candidate not in ",;" and candidate not in "".join(lines[-1:]):
            continue
        rows = _split(lines, candidate)
        score, decimal = _score(rows, candidate)
        if score > best_score:
            best, best_score = Form(candidate, decimal, rows), score
    return best


def _split(lines: list[str], separator: str) -> list[list[str]]:
    if separator == " ":
        return [line.split() for line in lines]
    if not any('"' in line for line in lines):
        return [line.split(separator) for line in lines]
    try:
        return list(csv.reader(lines, delimiter=separator))
    except csv.Error:  # a field beyond the limit of the module: not separated so
        return [[line] for line in lines]


def _score(rows: list[list[str]], separator: str) -> tuple[tuple[float, int], str]:
    """(the share of columns that are numbers, the number of columns), and the decimal mark."""
    body = rows[1:] or rows  # the first row may be a header
    width = len(body[0]) if body else 0
    headers = (width, width - 1) if separator in _SEPARATORS_OF_R else (width,)
    if not width or len({len(row) for row in body}) > 1 or len(rows[0]) not in headers:
        return (0.0, 0), "."
    columns = list(zip(*body))
    shares = {
        mark: sum(
            all(_is_number(f, mark) or _is_missing(f) for f in column)
            and any(_is_number(f, mark) for f in column)
            for column in columns
        )
        for mark in (".", ",")
    }
    commas = any(_COMMA_NUMBER.fullmatch(f) for column in columns for f in column)
    # In quotes between commas, 2,000 is two thousand.
    if separator == "," and any(_THOUSANDS.fullmatch(f) for column in columns for f in column):
        commas = False
    decimal = "," if commas and shares[","] > shares["."] else "."
    if width == 1 and decimal == "," and ("," in rows[0][0] or len(rows) == 1):
        return (0.0, 0), "."  # more likely commas between fields, some of which are missing
    return (shares[decimal] / width, width), decimal


def _refuse_ragged(lines: list[list[str]], form: Form, path: Path) -> None:
    for row, line in enumerate(lines, 1):
        if len(line) != len(lines[0]):
            raise ValueError(
                f"{path}: row {row} has {len(line)} fields, but the first has {len(lines[0])} "
                f"(separated by {_SEPARATORS[form.separator]}); it may be truncated or damaged: "
                "write it again with commas between fields and decimal points."
            )


def _is_number(field: str, decimal: str) -> bool:
    return _NUMBERS[decimal].fullmatch(field) is not None


def _is_missing(field: str) -> bool:
    return field.strip().lower() in _MISSING


def _has_header(rows: list[list[str]], decimal: str, path: Path) -> bool:
    """Whether the first row names the columns.

    Text above a number is a header; so is a first row of text alone. Whole numbers above numbers
    may be either: pandas writes the positions 0, 1, 2, ... for columns without names. They are a
    header if they are these and no other row is of their kind: everything below has decimals, or
    all whole numbers below are smaller than the last position. They are a datum if they are not
    these and there are whole numbers below, unless they count (2019, 2020, ...) outside the range
    of all columns. All else is for the user to say.

    Raises:
        ValueError: a header and a datum are both possible.
    """
    first, body = rows[0], rows[1:]
    is_number = [_is_number(field, decimal) for field in first]
    is_name = [not number and not _is_missing(f) for f, number in zip(first, is_number)]
    second = body[0] if body else []
    # Text above a number.
    if any(name and _is_number(field, decimal) for name, field in zip(is_name, second)):
        return True
    columns = [at for at, number in enumerate(is_number) if number]
    names = [first[at] for at in columns]
    # No number at all: a header if there is text. Decimals: a datum.
    if not names or not all(_WHOLE_NUMBER.fullmatch(name) for name in names):
        return any(is_name) and not names
    if any(_is_missing(field) and (at > 0 or field.strip()) for at, field in enumerate(first)):
        return False  # a missing value in a datum
    below = [row[at] for row in body for at in columns if not _is_missing(row[at])]
    numbers = bool(below) and all(_is_number(field, decimal) for field in below)
    whole = [field for field in below if _WHOLE_NUMBER.fullmatch(field.strip().lstrip("+-"))]
    decimals = numbers and not whole
    positions = names == [str(at) for at in range(len(names))]
    counted = len(names) > 1 and all(
        int(after) == int(before) + 1 for before, after in itertools.pairwise(names)
    )
    # Years above counts, say: numbers in a row that are all unlike those below them.
    unlike = counted and numbers and _outside(names, body, columns, decimal)
    smaller = len(whole) == len(below) > 0 and max(map(int, whole)) < len(names) - 1
    # An index without a name before them: no datum begins with nothing and goes on 0, 1, 2, ...
    unnamed_index = not first[0].strip() and columns[0] == 1
    if positions and (decimals or unnamed_index or (smaller and len(names) > 2)):
        return True
    if positions or decimals or unlike:
        shown = ",".join(first[:6]) + (",..." if len(first) > 6 else "")
        raise ValueError(
            f"{path}: the first row, {shown}, may be a header or a datum; decide by header=True "
            "or header=False (--set data.header=true or false)."
        )
    return False


def _outside(names: list[str], body: list[list[str]], columns: list[int], decimal: str) -> bool:
    """Whether each number lies outside the range of the column below it, of 3 rows or more."""
    if len(body) < 3:
        return False
    for name, at in zip(names, columns):
        below = [
            float({"true": "1", "false": "0"}.get(text, text).replace(decimal, "."))
            for text in (row[at].strip().lower() for row in body)
            if not _is_missing(text)
        ]
        if below and min(below) <= int(name) <= max(below):
            return False
    return True


def _parsed(text: bytes, form: Form, header: bool, names: list[str] | None, path: Path) -> Any:
    """Parses the text to an Arrow table; `names` replace an incomplete header."""
    import pyarrow as pa
    import pyarrow.csv

    separator = form.separator
    # Arrow knows no runs of blanks as one separator.
    if separator == " ":
        text = b"\n".join(b"\t".join(line.split()) for line in text.splitlines())
        separator = "\t"
    single = max(map(len, form.lines)) == 1
    longest = max(map(len, text[:_SAMPLE_CHARACTERS].splitlines()[:_SAMPLE_LINES]), default=0)
    spellings = {s for word in _MISSING for s in (word, word.upper(), word.capitalize())}
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(text),
            # A line must fit into one block.
            read_options=pyarrow.csv.ReadOptions(
                column_names=names,
                skip_rows=0 if names is None else 1,
                autogenerate_column_names=not header,
                block_size=max(1 << 20, 16 * longest),
            ),
            # In a single column an empty line is a missing value, not a line to leave out.
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=separator, ignore_empty_lines=not single
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                decimal_point=form.decimal, null_values=sorted({*spellings, "NaN", "N/A", "#N/A"})
            ),
        )
    except MemoryError:
        raise
    except (pa.ArrowException, csv.Error) as error:
        raise ValueError(
            f"{path} could not be read as .csv (fields separated by "
            f"{_SEPARATORS[form.separator]}, decimal mark {form.decimal!r}): {error}. It may be "
            "truncated or damaged; write it again with commas between fields and decimal points."
        ) from error


def _without_empty(table: Any) -> tuple[Any, bool]:
    """Drops a last column without name and values, which lines that end in a separator make;
    returns the table and whether it had one.
    """
    last = table.column(table.num_columns - 1)
    name = table.column_names[-1]
    if name or table.num_columns == 1 or last.null_count < len(last):
        return table, False
    return table.drop_columns([""]) if table.column_names.count("") == 1 else table, True


def _index_column(table: Any, names: list[str], path: Path, *, certain: bool) -> dict[str, int]:
    """Finds a first column without a name, the row index of pandas or R; {} if there is none.
    `certain` says that the columns of the data are known.

    Raises:
        ValueError: a column without a name that may be data.
    """
    unnamed = [at for at, name in enumerate(names) if not name or name.startswith("Unnamed: ")]
    if not unnamed or len(names) == 1:
        return {}
    column = table.column(0)
    # An index is counted or named; a column of decimals is more likely data without a name.
    counted = not str(column.type).startswith(("double", "bool", "null"))
    if unnamed == [0] and counted and len(column.unique()) == len(column) - column.null_count:
        return {"index": 0}
    if certain:
        return {}
    raise ValueError(
        f"{path}: the column {names[unnamed[0]]!r} (position {unnamed[0]}) has no name and may be "
        "a row index or data; name it, or give columns=[...] or index=POSITION "
        "(--set data.columns=[...], --set data.index=POSITION)."
    )
