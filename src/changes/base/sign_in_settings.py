"""Values of the settings about signing in: whose accounts count, and which machines are believed."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

GOOGLE = "https://accounts.google.com"
DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
EVERY_DOMAIN = "*"
Network = IPv4Network | IPv6Network


def words(value: object) -> tuple[str, ...]:
    """A list in TOML; elsewhere words between commas or spaces."""
    given = re.split(r"[,\s]+", value) if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise ValueError("must be a list of words, or words between commas")
    return tuple(each.strip() for each in given if each.strip())


def parse_domains(value: object) -> tuple[str, ...]:
    domains = tuple(each.lower().removeprefix("@") for each in words(value))
    for each in domains:
        if each != EVERY_DOMAIN and not DOMAIN.fullmatch(each):
            raise ValueError("must be domains of e-mail addresses, as in example.com, or *")
    return domains


def parse_networks(value: object) -> tuple[Network, ...]:
    if isinstance(value, tuple) and all(isinstance(each, IPv4Network | IPv6Network) for each in value):
        return value
    try:
        return tuple(ip_network(each) for each in words(value))
    except ValueError:
        raise ValueError("must be addresses or networks, as in 10.0.0.7 or 10.0.0.0/24") from None


def is_within(networks: tuple[Network, ...], address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in each for each in networks)


def check_header_name(name: str) -> str:
    if not HEADER_NAME.fullmatch(name):
        raise ValueError("must be the name of a header, as in X-Forwarded-User")
    return name


def check_issuer(url: str) -> str:
    """Whoever can listen to the conversation with the provider can sign in as anybody."""
    parts = urlsplit(url)
    is_here = parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if not parts.hostname or parts.query or parts.fragment or not (parts.scheme == "https" or is_here):
        raise ValueError("must be the https address of a provider, as in https://login.example.com")
    return url.rstrip("/")


def provider_name(issuer: str) -> str:
    return "Google" if issuer == GOOGLE else urlsplit(issuer).hostname or issuer
