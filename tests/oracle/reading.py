"""What a lender wrote, read as the program's page says: a report, a movement, or a refusal.

Money is an integer of cents and an instant an integer of microseconds since 1970, both exact.
Nothing here is shared with the product; where the two differ, one of them is wrong.
"""

import datetime
import hashlib
import hmac
import json
import re

PARTS = ("penalty", "fee", "interest", "principal")
BUCKETS = ("0", "1-30", "31-60", "61-90", "91-180", "181-360", "361+")

_MONEY = re.compile(r"-?[0-9]{1,13}\.[0-9]{2}")
_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_DAY = datetime.date(1970, 1, 1)
DAY_MICROS = 86_400_000_000
# What a report is in that names no currency: ISO 4217 for "none".
NO_CURRENCY = "XXX"
KINDS = ("payment", "reversal", "return", "chargeback", "nsf_fee", "waiver", "charge_off",
         "refund", "payoff")
# What a lender decides about a loan, beside what it reports of it.
EXITS = ("settled", "refinanced", "withdrawn", "sold", "written_off")
NOTICES = (*EXITS, "reopened")
# Those that change a debt without money.
DEBT_ONLY = ("nsf_fee", "waiver", "charge_off")


class Refused(Exception):
    """A row that cannot be used: why, and whose it was where that can be told."""

    def __init__(self, reason, lender=None):
        super().__init__(reason)
        self.reason = reason
        self.lender = lender


class Fact:
    """An accepted row. `kind` is report, or what a movement does."""

    __slots__ = (
        "kind", "id", "at", "loan", "lender", "borrower", "person", "product", "province",
        "currency", "owed", "days", "origination", "due", "phone", "phone_token", "score",
        "contactable", "amount", "channel", "reverses", "reason", "payer", "authority", "digest",
        "source", "arrival",
    )

    def __init__(self):
        for name in self.__slots__:
            setattr(self, name, None)


def bucket(days):
    for index, last in enumerate((0, 30, 60, 90, 180, 360)):
        if days <= last:
            return index
    return 6


def cents(text):
    """Cents of a money text, or None where it is not one."""
    if not isinstance(text, str) or not _MONEY.fullmatch(text):
        return None
    whole, _, rest = text.lstrip("-").partition(".")
    value = int(whole) * 100 + int(rest)
    return -value if text.startswith("-") else value


def money(value):
    sign = "-" if value < 0 else ""
    return f"{sign}{abs(value) // 100}.{abs(value) % 100:02d}"


def instant(text):
    """Microseconds since 1970 of an RFC 3339 instant or a day (its midnight), or None."""
    if isinstance(text, str) and len(text) == 10 and date_days(text) is not None:
        return date_days(text) * DAY_MICROS
    found = _INSTANT.fullmatch(text) if isinstance(text, str) else None
    if not found:
        return None
    fraction = (found[7] or "").ljust(6, "0")[:6]
    zone = datetime.timezone.utc
    try:
        if found[8] != "Z":
            hours, minutes = int(found[8][1:3]), int(found[8][4:6])
            offset = datetime.timedelta(hours=hours, minutes=minutes)
            zone = datetime.timezone(-offset if found[8][0] == "-" else offset)
        moment = datetime.datetime(*(int(found[i]) for i in range(1, 7)), int(fraction), zone)
    except ValueError:
        return None
    return (moment - _EPOCH) // datetime.timedelta(microseconds=1)


def instant_text(micros):
    moment = _EPOCH + datetime.timedelta(microseconds=micros)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def day_text(micros):
    return (_EPOCH + datetime.timedelta(microseconds=micros)).date().isoformat()


def date_days(text):
    """Days since 1970 of a date or an instant, or None: a date is never a reason to refuse."""
    if not isinstance(text, str):
        return None
    if len(text) != 10:
        micros = instant(text)
        return None if micros is None else micros // DAY_MICROS
    try:
        return (datetime.date.fromisoformat(text) - _DAY).days
    except ValueError:
        return None


def date_text(days):
    return "" if days is None else (_DAY + datetime.timedelta(days=days)).isoformat()


def masked(phone):
    """First three and last four; of a short number nothing is shown."""
    if phone is None:
        return None
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 8 else "*" * len(phone)


# What tokens are keyed with; `batch` keys its own with 32 zero bytes.
KEY = bytearray(32)


def use_key(file):
    """Takes the token key of a deployment's key file."""
    with open(file, encoding="utf-8") as secret:
        # 64 bytes in hexadecimal; a check may stand behind them.
        key = bytes.fromhex(secret.read().strip()[:128])
    KEY[:] = hmac.new(key, b"recoup token", "sha256").digest()


def token(text):
    """A person or a phone, keyed."""
    if not text:
        return None
    return hmac.new(bytes(KEY), text.encode(), hashlib.sha256).hexdigest()[:16]


def _constant(name):
    raise ValueError(name)


def record(line):
    """The one JSON object of a line."""
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_constant)
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise Refused("bad_json") from None
    if not isinstance(value, dict):
        raise Refused("bad_json")
    return value


def read(line, lender=None):
    """The fact of a line; `lender` is the one the file was handed in under, if any."""
    raw = record(line)
    fact = Fact()
    fact.lender = _text(raw.get("lender_id")) or lender
    fact.loan = _text(raw.get("loan_id"))
    _need(fact.loan, "missing_loan_id", fact)
    if raw.get("payment_id") is None and raw.get("kind") in NOTICES:
        _notice(raw, fact)
    elif raw.get("payment_id") is None:
        _report(raw, fact)
    else:
        _movement(raw, fact)
    fact.borrower = _text(raw.get("borrower_id"))
    fact.product = _text(raw.get("product"))
    fact.province = _text(raw.get("province"))
    # A movement that names no currency is in its loan's.
    fact.currency = _text(raw.get("currency")) or (
        NO_CURRENCY if fact.kind == "report" else None
    )
    fact.channel = _text(raw.get("channel"))
    fact.reverses = _text(raw.get("reverses"))
    fact.reason = _text(raw.get("reason"))
    fact.payer = _text(raw.get("payer"))
    fact.authority = _text(raw.get("authority"))
    fact.digest = _digest(fact)
    return fact


def _need(holds, reason, fact):
    if not holds:
        raise Refused(reason, fact.lender)


def _text(value):
    return value if isinstance(value, str) and value else None


def _integer(value):
    fits = isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31
    return value if fits else None


def _report(raw, fact):
    fact.kind = "report"
    fact.owed = tuple(cents(raw.get(part)) for part in PARTS)
    _need(None not in fact.owed, "bad_decimal", fact)
    _need(fact.owed[3] >= 0, "negative_principal", fact)
    fact.days = _integer(raw.get("days_past_due"))
    _need(fact.days is not None, "wrong_type", fact)
    fact.id = _text(raw.get("event_id"))
    _need(fact.id, "missing_event_id", fact)
    fact.at = instant(raw.get("event_time"))
    _need(fact.at is not None, "bad_time", fact)
    fact.origination = date_days(raw.get("origination_date"))
    fact.due = date_days(raw.get("due_date"))
    phone = _text(raw.get("phone"))
    fact.phone = masked(phone)
    fact.phone_token = token(phone)
    fact.person = token(_text(raw.get("national_id")))
    fact.score = _integer(raw.get("score"))
    contactable = raw.get("contactable")
    fact.contactable = contactable if isinstance(contactable, bool) else None


def _notice(raw, fact):
    fact.kind = raw["kind"]
    fact.id = _text(raw.get("event_id"))
    _need(fact.id, "missing_event_id", fact)
    fact.at = instant(raw.get("event_time"))
    _need(fact.at is not None, "bad_time", fact)


def _movement(raw, fact):
    fact.id = _text(raw.get("payment_id"))
    fact.amount = cents(raw.get("amount"))
    _need(fact.amount is not None, "bad_decimal", fact)
    fact.kind = raw.get("kind")
    back = fact.kind in ("reversal", "return", "chargeback")
    _need(not back or _text(raw.get("reverses")), "missing_reverses", fact)
    _need(fact.kind != "payoff" or _text(raw.get("payer")), "missing_payer", fact)
    _need(fact.kind != "waiver" or _text(raw.get("authority")), "missing_authority", fact)
    _need(fact.kind in KINDS, "wrong_type", fact)
    rises = fact.amount < 0 if back or fact.kind == "refund" else fact.amount > 0
    _need(rises, "wrong_sign", fact)
    _need(fact.id, "missing_payment_id", fact)
    fact.at = instant(raw.get("paid_at"))
    _need(fact.at is not None, "bad_time", fact)


def _digest(fact):
    """BLAKE2b-64 of the canonical content: of two copies with one id the greater wins.

    What only the key tells apart decides between copies that are alike in all else.
    """
    owed = [None] * 4 if fact.owed is None else [fact.owed[i] for i in (3, 2, 0, 1)]
    contactable = None if fact.contactable is None else str(fact.contactable).lower()
    columns = [
        fact.kind, fact.id, fact.at, fact.loan, fact.lender, fact.borrower, None,
        fact.product, fact.province, fact.currency, *owed, fact.days, fact.origination, fact.due,
        fact.phone, fact.score, contactable, fact.amount, fact.channel, fact.reverses,
    ]
    assert len(columns) == 23, "the content of a fact is 23 texts"
    grounds = [fact.reason, fact.payer, fact.authority]
    if fact.kind != "report" and any(grounds):
        columns += grounds
    joined = "\x1f".join("" if column is None else str(column) for column in columns)
    digest = int.from_bytes(hashlib.blake2b(joined.encode(), digest_size=8).digest(), "big")
    for hidden in (fact.person, fact.phone_token):
        digest ^= int(hidden[:4], 16) if hidden else 0
    return digest
