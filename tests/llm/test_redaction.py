"""Secrets in texts: which are found, behind which escapes, how fast, and what is left alone."""

from __future__ import annotations

import base64
import html
import json
import time
import uuid
from urllib.parse import quote, quote_plus

import pytest

from mojentic_nb.llm.redaction import Redaction

LETTERS = "Ab3dEf6hIj9kLmNoPqRs"
HEX = "0123456789abcdef" * 4


def issued() -> list[str]:
    """Secrets as issuers make them, put together here so that no scanner takes them for some."""
    return [
        f"sk-proj-{LETTERS}",
        f"sk-ant-api03-{LETTERS}",
        f"ghp_{LETTERS * 2}",
        f"github_pat_{LETTERS}",
        f"glpat-{LETTERS}",
        f"hf_{LETTERS * 2}",
        f"gsk_{LETTERS}",
        f"npm_{LETTERS * 2}",
        f"pypi-AgEIcHlwaS5vcmc{LETTERS}",
        f"xoxb-{'1234567890-' * 2}",
        f"AIzaSy{LETTERS * 2}",
        "AKIA" + "ABCDEFGH12345678",
        f"SG.{LETTERS}.{LETTERS * 2}",
        f"sk_live_{LETTERS}",
        f"dop_v1_{HEX}",
        f"eyJ{LETTERS}.eyJ{LETTERS}.{LETTERS}",
    ]


def framed() -> list[tuple[str, str]]:
    """Texts that hold a secret, and the secret."""
    basic = base64.b64encode(b"ann:open-sesame-1").decode()
    lines = "MIIEowIBAAKCAQEA\n" * 3
    return [
        *((f"Use {secret}.", secret) for secret in issued()),
        (f"Authorization: Basic {basic}", basic),
        (f"Authorization: Bearer {LETTERS}", LETTERS),
        (f"https://a.blob.core.windows.net/c?sv=2024&sig={LETTERS}%3D&se=1", f"{LETTERS}%3D"),
        (f"AccountName=a;AccountKey={LETTERS * 3}==;", f"{LETTERS * 3}=="),
        ("postgres://ann:open-sesame@example.com/db", "open-sesame"),
        ("redis://:open-sesame@example.com", "open-sesame"),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{lines}-----END RSA PRIVATE KEY-----\n", lines.strip()),
        (f"-----BEGIN PRIVATE KEY-----\n{lines}", lines.strip()),
        ("DB_PWD=open-sesame", "open-sesame"),
        ("export GITLAB_PAT_2='open-sesame'", "open-sesame"),
        ("SSH_PASSPHRASE=open-sesame", "open-sesame"),
        ('{"password": "open-sesame"}', "open-sesame"),
        ("connect(api_key='open-sesame')", "open-sesame"),
    ]


ESCAPES = {
    "as it is": str,
    "in JSON": json.dumps,
    "in JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "as JSON of letters": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "as a representation": repr,
    "in a URL": lambda text: quote(text, safe=""),
    "in a URL twice": lambda text: quote(quote(text, safe=""), safe=""),
    "in HTML": html.escape,
    "after a line end": lambda text: json.dumps("\n" + text),
}


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES.keys())
def test_secrets_are_found_behind_escapes(escape):
    redaction = Redaction.of([])
    left = []
    for text, secret in framed():
        cleaned = redaction.text(escape(text))
        if escape(secret).strip("\"'") in cleaned or "(secret)" not in cleaned or secret in cleaned:
            left.append(text)
        assert redaction.text(cleaned) == cleaned

    assert left == []


def test_secrets_with_odd_characters_are_found_behind_escapes(monkeypatch: pytest.MonkeyPatch):
    value = 'p"a\\s/s wörd&+1'
    monkeypatch.setenv("MY_KEY_2", value)
    redaction = Redaction.of([])

    for escape in [*ESCAPES.values(), quote_plus]:
        assert "rd" not in redaction.text(escape(f"Use {value}!"))


NAMES = {
    "MY_KEY": True,
    "MY_KEY_2": True,
    "OPENAI_APIKEY": True,
    "GITHUB_PAT": True,
    "DB_PWD": True,
    "PGPASSWORD": True,
    "GPG_PASSPHRASE": True,
    "SENTRY_DSN": True,
    "HF_TOKEN": True,
    "AWS_SECRET_ACCESS_KEY": True,
    "AZURE_STORAGE_CONNECTION_STRING": True,
    "MONKEY": False,
    "MY_PATH": False,
    "PWD": False,
    "MAX_TOKENS": False,
    "TOKENIZERS_PARALLELISM": False,
    "SSH_KEY_PATH": False,
    "XKB_KEYBOARD": False,
}


@pytest.mark.parametrize("name", NAMES)
def test_the_names_of_secret_variables(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, "an odd value")

    assert (Redaction.of([]).text("It is an odd value.") == "It is (secret).") == NAMES[name]


def test_fields_of_json():
    value = {"db_password": "open-sesame", "x": [{"client-secret": "open-sesame"}], "key": "open-sesame", "n": 1}

    assert Redaction.of([]).value(value) == {
        "db_password": "(secret)",
        "x": [{"client-secret": "(secret)"}],
        "key": "open-sesame",
        "n": 1,
    }


ORDINARY = [
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    str(uuid.UUID(int=2**127 + 12345)),
    f"data:image/png;base64,{base64.b64encode(bytes(range(256)) * 40).decode()}",
    base64.urlsafe_b64encode(bytes(range(256)) * 40).decode(),
    "A sketch of a sk-learn pipeline, sk-learn-contrib-2-transformers, risk-management-in-2024-and-beyond",
    "basic auth, Basic statistics, Basic instructions, basic mathematics for 12 students",
    "Bearer instruments and a bearer token",
    "MONKEY=banana123, PATH=/usr/bin:/bin, PWD=/somewhere/else, key=value pairs, x == 'something'",
    "hf_hub_download_with_retries npm_config_registry gsk_something pypi-package-with-a-long-name",
    '{"token": "beautiful", "key": "something", "password": {"type": "string"}, "secrets": "many words here"}',
    "The file begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY----- as it says.",
    "-----BEGIN CERTIFICATE-----\nMIIEowIBAAKCAQEA\n-----END CERTIFICATE-----",
    "https://example.com:8000/a?b=c&d=e@f.g http://localhost:11434 and mail to a@b.c, git@github.com:a/b.git",
    r"C:\new\users\tables 100%25 &amp; \alpha \\ \u00e9",
    "sha256:" + HEX,
    'api_key = os.environ["OPENAI_API_KEY"]; password = getpass("Password: ")',
]


@pytest.mark.parametrize("text", ORDINARY, ids=range(len(ORDINARY)))
def test_ordinary_text_stays(text: str):
    assert Redaction.of([]).text(text) == text


HOSTILE = (
    *("sk-", "eyJ", "://", "://a:", "Bearer ", "Basic QUJD ", "=", '="', "A=", '": "', "KEY=", "\\", "%25", "\\n", "&"),
    *("-----BEGIN PRIVATE KEY-----", "?sig=", "Key=", "xoxb-", "pypi-", " ", "password='", "a", "SG.a", "eyJaaaaaaaa."),
)


@pytest.mark.parametrize("part", HOSTILE)
def test_time_grows_with_the_length_alone(part: str):
    """Were it the square of it, sixteen times the length would take 256 times as long."""
    redaction = Redaction.of([])

    def seconds(length: int) -> float:
        text = part * (length // len(part))
        began = time.process_time()
        redaction.text(text)
        return time.process_time() - began

    short = min(seconds(10_000) for _ in range(3))
    assert seconds(160_000) < 64 * short + 0.01
