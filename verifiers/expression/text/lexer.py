"""Tokens of an answer. Every budget that can be checked before parsing is checked here."""

from __future__ import annotations

import re
from typing import NamedTuple

from verifiers.expression.text.vocabulary import (
    CASED_UNITS,
    COMMAND_OPERATORS,
    FONT_COMMANDS,
    FUNCTIONS,
    GREEK,
    INFINITY,
    PERCENT_WORDS,
    PLAIN_COMMANDS,
    SHORT_WORDS,
    TEXT_COMMANDS,
    UNIT_END,
    UNIT_LETTERS,
    UNIT_WORDS,
    VALUE_BEFORE,
    WORD_OPERATORS,
)
from verifiers.verifier import LimitExceeded

MAX_CHARS = 8_000
MAX_TOKENS = 2_000
MAX_NESTING = 40
MAX_DIGITS = 1_000


class Unreadable(Exception):
    """The text is not in the grammar: it may still be compared as words."""


class Token(NamedTuple):
    """kind: number, name, function, word, text, open, close, or the operator itself; spaced: white space before."""

    kind: str
    text: str
    spaced: bool = False


_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<numeral>(?=\d*[A-Fa-f])[0-9A-Fa-f]{1,40}(?=_(?:16|12|11|\{1[126]\})(?![\w])))
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d{1,6}(?![\d.]))?|\.\d+)
    |(?P<command>\\[A-Za-z]+)
    |(?P<escaped>\\[{}%$&_|\\#])
    |(?P<foreign>(?=[A-Za-z]*[^\W\d_A-Za-z])(?:[^\W\d_]|[\u0900-\u0dff\u0e31-\u0e4e\u064b-\u065f])+)
    |(?P<word>[A-Za-z]+)
    |(?P<dots>\.{2,})
    |(?P<operator>\*\*|<=|>=|!=|==|=<|[-+*/^_=<>!%,;:|'()\[\]{}&?$"])
    |(?P<currency>[€£¥₹])
    """,
    re.VERBOSE,
)


def tokenize(text: str) -> list[Token]:
    """Tokens of `text` (already in standard notation). Raises `Unreadable` or `LimitExceeded`."""
    if len(text) > MAX_CHARS:
        raise LimitExceeded(f"{len(text)} characters of mathematics, at most {MAX_CHARS}")
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.tokens: list[Token] = []
        self.depth = 0
        self.spaced = False

    def run(self) -> list[Token]:
        while self.position < len(self.text):
            match = _TOKEN.match(self.text, self.position)
            if match is None:
                raise Unreadable(f"unexpected character {self.text[self.position]!r}")
            self.position = match.end()
            kind = match.lastgroup
            if kind == "space":
                self.spaced = True
                continue
            self._one(kind or "", match.group())
            self.spaced = False
            if len(self.tokens) > MAX_TOKENS:
                raise LimitExceeded(f"more than {MAX_TOKENS} tokens")
        return self.tokens

    def _add(self, kind: str, text: str) -> None:
        self.tokens.append(Token(kind, text, self.spaced))

    def _one(self, kind: str, text: str) -> None:
        if kind == "number":
            if len(text) > MAX_DIGITS:
                raise LimitExceeded(f"a number of {len(text)} digits")
            self._add("number", text)
        elif kind == "numeral":  # 2A_{16}; its subscript is read with it
            base = re.compile(r"_\{?(1[126])\}?").match(self.text, self.position)
            assert base is not None
            self.position = base.end()
            self._add("text", f"{text} base {base.group(1)}")
        elif kind == "command":
            self._command(text[1:])
        elif kind == "escaped":
            self._escaped(text)
        elif kind == "word":
            self._word(text)
        elif kind == "dots":
            self._add("dots", "...")
        elif kind == "currency":
            self._add("currency", text)
        elif kind == "foreign":
            self._add("word", text)
        else:
            self._operator(text)

    def _operator(self, text: str) -> None:
        if text in "([{":
            self.depth += 1
            if self.depth > MAX_NESTING:
                raise LimitExceeded(f"nested deeper than {MAX_NESTING}")
        elif text in ")]}":
            self.depth -= 1
        if text == "$":
            return
        self._add({"**": "^", "==": "=", "=<": "<="}.get(text, text), text)

    def _escaped(self, text: str) -> None:
        if text == "\\\\":
            self._add("newrow", text)
        elif text in ("\\{", "\\}"):
            self._add(text, text)
        elif text == "\\%":
            self._add("%", "%")
        elif text == "\\|":
            self._add("|", "|")
        elif text == "\\_":
            self._add("_", "_")
        elif text == "\\$":
            self._add("currency", "$")
        # \& and \# stand for nothing

    def _command(self, name: str) -> None:
        if name in COMMAND_OPERATORS:
            self._add(COMMAND_OPERATORS[name], name)
        elif name in FUNCTIONS:
            self._add("function", FUNCTIONS[name])
        elif name in GREEK:
            self._add("name", name.removeprefix("var"))
        elif name in TEXT_COMMANDS:
            self._text_group(name)
        elif name in FONT_COMMANDS:
            self._font(name)
        elif name in PLAIN_COMMANDS:
            self._add(*PLAIN_COMMANDS[name])
        elif name in ("degree", "degrees"):
            self._add("^", "^")
            self._add("degree", name)
        elif name in ("begin", "end"):
            self._add(name, self._braced())
        else:
            raise Unreadable(f"unknown command \\{name}")

    def _braced(self) -> str:
        """Content of the `{...}` that follows, without nesting."""
        match = re.compile(r"\s*\{([^{}]*)\}").match(self.text, self.position)
        if match is None:
            raise Unreadable("a group is missing")
        self.position = match.end()
        return match.group(1).strip()

    def _text_group(self, name: str) -> None:
        content = self._braced()
        behind = self.tokens[-1].kind if self.tokens else ""
        if (
            content in FUNCTIONS
            and not (content in UNIT_WORDS and behind == "number")
            and name in ("operatorname", "mathrm", "text")
        ):
            self._add("function", FUNCTIONS[content])
            return
        lowered = content.lower().strip(" .")
        if lowered in PERCENT_WORDS or lowered == "%":
            self._add("%", "%")
        elif lowered in ("and", "or", ",", ";"):
            self._add({";": ","}.get(lowered, lowered), lowered)
        elif re.fullmatch(r"\(?[A-Za-z]\)?", content.strip()):
            # \text{B}: an option or a symbol; \text{ m} after a number: a unit
            after_number = bool(self.tokens) and self.tokens[-1].kind in ("number", ")", "}", "%")
            if name == "text" and [token.kind for token in self.tokens[-2:]] in (["frac", "{"], ["}", "{"]):
                after_number = content.strip() in ("m", "s", "g", "h", "L", "N", "J")
            letter = content.strip("() ")
            self._add(
                "unit" if after_number and letter.islower() | (letter in "NJWVKCFLAT") else "name", letter
            )
            if self.tokens[-1].kind == "name" and letter in "ei" and name == "mathrm":
                self.tokens[-1] = Token("constant", letter, self.spaced)
        elif content.strip():
            self._nested_text(content)

    def _nested_text(self, content: str) -> None:
        """`\\text{42 or 44}` is read as what it says; words stay one text token."""
        if re.search(r"\d|\b(?:and|or)\b|[,;]", content):
            before = len(self.tokens)
            inner = _Scanner(content)
            inner.depth = self.depth
            self.tokens.extend(inner.run())
            if len(self.tokens) > before and (self.spaced or content[0].isspace()):
                self.tokens[before] = self.tokens[before]._replace(spaced=True)
        else:
            self._add("text", content.strip())

    def _font(self, name: str) -> None:
        match = re.compile(r"\s*(?:\{([^{}]*)\}|([A-Za-z0-9]))").match(self.text, self.position)
        if match is None:
            raise Unreadable(f"\\{name} without a group")
        content = (match.group(1) or match.group(2) or "").strip()
        if name in ("mathbf", "boldsymbol", "bm", "hat", "vec", "widehat", "overrightarrow") and content in (
            "i",
            "j",
            "k",
        ):
            self.position = match.end()
            self._add("name", f"unit({content})")
            return
        if name == "mathbb" and content in ("R", "Z", "N", "Q", "C"):
            self.position = match.end()
            self._add("set", content)
        elif name in ("mathbf", "boldsymbol", "bm", "mathit", "mathsf", "pmb"):
            self.position = match.start(1) if match.group(1) is not None else match.start(2)
            if match.group(1) is not None:
                self.position = match.end()
                inner = _Scanner(content)
                inner.depth = self.depth
                self.tokens.extend(inner.run())
        elif re.fullmatch(r"[A-Za-z]{1,3}", content):
            self.position = match.end()
            if name == "overline" and content == "":
                raise Unreadable("empty group")
            self._add("name", f"{name}({content})")
        else:
            raise Unreadable(f"\\{name} of more than a name")

    def _word(self, text: str) -> None:
        last = self.tokens[-1].kind if self.tokens else ""
        if text in WORD_OPERATORS:
            self._add(WORD_OPERATORS[text], text)
        elif text in FUNCTIONS and not (text in UNIT_WORDS and last == "number"):
            self._add("function", FUNCTIONS[text])
        elif text.lower() in PERCENT_WORDS and last in ("number", "}", ")"):
            self._add("%", text)
        elif text in INFINITY:
            self._add("constant", "infinity")
        elif text in ("pi", "Pi", "PI"):
            self._add("constant", "pi")
        elif text in GREEK:
            self._add("name", text)
        elif len(text) == 1:
            self._letter(text, last)
        elif (last in ("word", "text") and self.spaced and text not in ("and", "or")) or (
            last == "number" and text in UNIT_WORDS
        ):
            self._add("word", text)
        elif text == "in" and last in ("name", "}"):
            self._add("in", text)
        elif text in ("sqrtx", "lnx", "sinx", "cosx", "tanx", "logx"):
            self._add("function", FUNCTIONS[text[:-1]])
            self._add("name", text[-1])
        elif text.endswith("pi") and len(text) == 3 and last != "word":
            self._add("name", text[0])
            self._add("constant", "pi")
        elif text in CASED_UNITS and last in ("number", "}"):
            self._add("word", text)
        elif len(text) <= 3 and text.lower() not in SHORT_WORDS and text.lower() not in UNIT_WORDS:
            for letter in text:
                self._letter(letter, "")
        else:
            self._add("word", text)

    def _letter(self, letter: str, last: str) -> None:
        before = self.text[max(0, self.position - 60) : self.position - 1]
        if (
            (last == "number" or (last in ("}", ")") and VALUE_BEFORE.search(before)))
            and self.spaced
            and letter in UNIT_LETTERS
            and [token.kind for token in self.tokens[-3:-1]] != ["name", "^"]  # r^2 h
            and UNIT_END.match(self.text, self.position)
        ):
            self._add("unit", letter)
        elif letter in ("e", "i"):
            self._add("constant", letter)
        elif letter == "U" and last in (")", "]", "\\}"):
            self._add("union", letter)
        else:
            self._add("name", letter)
