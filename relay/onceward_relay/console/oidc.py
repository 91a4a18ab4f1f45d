"""An OpenID Connect provider: where people are sent, and what is believed of what they bring back.

Authorisation code with PKCE. Of an ID token nothing is believed before its signature by a key of the issuer, its
issuer, audience, times and nonce have been checked.
"""

import asyncio
import logging
import secrets
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from typing import Any, TypeGuard
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from onceward_relay.console.config import OidcSettings, private_url

log = logging.getLogger(__name__)
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Of signatures: by a private key of the issuer. Neither none nor one by a secret that we have too."""
LEEWAY = 60
"""Seconds by which clocks may differ."""
KNOWN_FOR = 3600.0
"""Seconds after which the issuer's configuration and keys are read anew."""
ANEW_AFTER = 10.0
"""Seconds before which keys are not read anew, however many tokens name one that is unknown."""
TIMEOUT = 10.0
MOST_BYTES = 2**20
"""Of what the issuer answers."""


class IssuerError(Exception):
    """The issuer does not answer, or not as it must. The message says how, for people; it holds no secret."""


class NotBelieved(Exception):
    """What was brought back proves nothing. The message says why."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A person who is sent to the issuer."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody for whom the issuer vouches."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]

    def groups(self, claim: str) -> list[str]:
        """Return the groups that a claim names."""
        found = self.claims.get(claim)
        found = [found] if isinstance(found, str) else found
        return [str(group) for group in found] if isinstance(found, list) else []


class Issuer:
    """Speaks with an OpenID Connect provider."""

    def __init__(self, settings: OidcSettings, address: str) -> None:
        self._settings = settings
        self._callback = f"{address}/login/oidc/callback"
        self._http = httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, trust_env=False)
        self._lock = asyncio.Lock()
        self._configuration: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._read_at = self._keys_read_at = 0.0

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def send_off(self) -> Sent:
        """Return where somebody logs in.

        Raises:
            IssuerError: the issuer does not answer.

        """
        configuration = await self._configured()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code", "client_id": self._settings.client_id, "redirect_uri": self._callback,
            "scope": self._settings.scopes, "state": state, "nonce": nonce,
            "code_challenge": _base64(sha256(verifier.encode()).digest()), "code_challenge_method": "S256",
        }  # fmt: skip
        endpoint = configuration["authorization_endpoint"]
        return Sent(f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}", state, nonce, verifier)

    async def identify(self, code: str, came_from: str | None, nonce: str, verifier: str) -> Identity:
        """Return who has come back with a code; `came_from` is the issuer that the answer names, if it names one.

        Raises:
            IssuerError: the issuer does not answer.
            NotBelieved: what it answers proves nothing.

        """
        configuration = await self._configured()
        named = configuration.get("authorization_response_iss_parameter_supported") is True
        if (came_from is None and named) or came_from not in (None, self._settings.issuer):
            raise NotBelieved("the answer is of another issuer")
        tokens = await self._exchanged(configuration, code, verifier)
        claims = await self._verified(tokens.get("id_token"), nonce)
        wanted = {self._settings.name_claim, self._settings.groups_claim}
        if not wanted <= claims.keys() and configuration.get("userinfo_endpoint") and tokens.get("access_token"):
            claims = {**await self._more(configuration, str(tokens["access_token"]), claims["sub"]), **claims}
        return Identity(self._settings.issuer, claims["sub"], claims)

    async def _exchanged(self, configuration: Mapping[str, Any], code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self._callback,
            "code_verifier": verifier, "client_id": self._settings.client_id,
        }  # fmt: skip
        headers = {}
        if secret := self._settings.secret():
            if "client_secret_basic" in configuration.get(
                "token_endpoint_auth_methods_supported", ("client_secret_basic",)
            ):
                pair = f"{quote_plus(self._settings.client_id)}:{quote_plus(secret)}"
                headers["Authorization"] = f"Basic {_base64(pair.encode(), url=False)}"
            else:
                form["client_secret"] = secret
        status, tokens = await self._ask("POST", configuration["token_endpoint"], data=form, headers=headers)
        if status != 200:
            error = str(tokens.get("error", status))[:100]
            if error in ("invalid_client", "unauthorized_client"):
                raise IssuerError(
                    f"refuses this console as a client ({error}): look at oidc.client_id and client_secret"
                )
            raise NotBelieved(f"the issuer refuses the code ({error})")
        return tokens

    async def _verified(self, token: object, nonce: str) -> dict[str, Any]:
        if not isinstance(token, str):
            raise NotBelieved("the issuer gave no ID token")
        try:
            header = jws.extract_compact(token.encode()).headers()
            if header.get("alg") not in ALGORITHMS:
                raise NotBelieved(f"the ID token is signed by {str(header.get('alg'))[:20]}, which proves nothing here")
            claims = jwt.decode(token, await self._keys_with(header.get("kid")), algorithms=ALGORITHMS).claims
        except (JoseError, ValueError, TypeError) as error:
            raise NotBelieved(f"the ID token is not signed by the issuer ({type(error).__name__})") from error
        check(claims, self._settings.issuer, self._settings.client_id, nonce, time.time())
        return dict(claims)

    async def _more(self, configuration: Mapping[str, Any], token: str, subject: str) -> dict[str, Any]:
        """Return the claims that the issuer tells apart from the ID token."""
        headers = {"Authorization": f"Bearer {token}"}
        status, claims = await self._ask("GET", configuration["userinfo_endpoint"], headers=headers)
        if status != 200:
            raise IssuerError(f"answers {status} where it tells of people (userinfo)")
        if claims.get("sub") != subject:
            raise NotBelieved("the issuer tells of somebody else")
        return claims

    async def _configured(self) -> dict[str, Any]:
        async with self._lock:
            if not self._configuration or time.monotonic() - self._read_at > KNOWN_FOR:
                url = f"{self._settings.issuer}/.well-known/openid-configuration"
                status, found = await self._ask("GET", url)
                if status != 200:
                    raise IssuerError(f"answers {status} at {url}: look at oidc.issuer")
                if str(found.get("issuer", "")).rstrip("/") != self._settings.issuer:
                    raise IssuerError(f"calls itself {str(found.get('issuer'))[:200]}: look at oidc.issuer")
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    _checked(found, name)
                if found.get("userinfo_endpoint"):
                    _checked(found, "userinfo_endpoint")
                self._configuration, self._read_at, self._keys = found, time.monotonic(), None
            return self._configuration

    async def _keys_with(self, kid: object) -> KeySet:
        """Return the issuer's keys; they are read anew where a token names one that is unknown: it has a new one."""
        configuration = await self._configured()
        async with self._lock:
            known = self._keys is not None and (kid is None or any(key.kid == kid for key in self._keys.keys))
            if self._keys is None or (not known and time.monotonic() - self._keys_read_at > ANEW_AFTER):
                status, found = await self._ask("GET", configuration["jwks_uri"])
                if status != 200:
                    raise IssuerError(f"answers {status} at {configuration['jwks_uri']}")
                self._keys, self._keys_read_at = _keys_of(found), time.monotonic()
            return self._keys

    async def _ask(self, method: str, url: str, **request: Any) -> tuple[int, dict[str, Any]]:
        """Return status and JSON of an answer; nothing if it is no JSON object."""
        try:
            async with asyncio.timeout(TIMEOUT), self._http.stream(method, url, **request) as answer:
                content = b""
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > MOST_BYTES:
                        raise IssuerError(f"answers more than {MOST_BYTES:,} bytes at {url}")
                body = httpx.Response(200, content=content).json() if content else {}
                return answer.status_code, body if isinstance(body, dict) else {}
        except ValueError:
            return answer.status_code, {}
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            log.warning("the issuer does not answer at %s: %s", url, type(error).__name__)
            raise IssuerError("does not answer") from error


def check(claims: Mapping[str, Any], issuer: str, client: str, nonce: str, now: float) -> None:
    """Check what an ID token says, whose signature was checked before (OpenID Connect Core, 3.1.3.7).

    Raises:
        NotBelieved: it is not for this log-in.

    """
    audience = claims.get("aud")
    audience = [audience] if isinstance(audience, str) else audience
    subject, expires, issued = claims.get("sub"), claims.get("exp"), claims.get("iat")
    if str(claims.get("iss", "")).rstrip("/") != issuer:
        raise NotBelieved("the ID token is of another issuer")
    if not isinstance(audience, list) or client not in audience:
        raise NotBelieved("the ID token is for another client")
    if (len(audience) > 1 or "azp" in claims) and claims.get("azp") != client:
        raise NotBelieved("the ID token was given to another client")
    if not _is_time(expires) or expires + LEEWAY < now:
        raise NotBelieved("the ID token has expired")
    if not all(_is_time(begin) and begin - LEEWAY <= now for begin in (issued, claims.get("nbf", 0))):
        raise NotBelieved("the ID token does not count yet: look at the clocks")
    if not isinstance(claims.get("nonce"), str) or not secrets.compare_digest(claims["nonce"].encode(), nonce.encode()):
        raise NotBelieved("the ID token is of another log-in")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or not subject.isprintable():
        raise NotBelieved("the ID token names nobody")


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _checked(configuration: Mapping[str, Any], name: str) -> None:
    try:
        private_url(str(configuration[name]))
    except (KeyError, ValueError):
        raise IssuerError(f"has no https:// URL as its {name}") from None


def _keys_of(found: Mapping[str, Any]) -> KeySet:
    """Return the keys that signatures are checked with: public ones that are meant for it."""
    keys = [
        key
        for key in found.get("keys") or ()
        if isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"
    ]
    try:
        return KeySet.import_key_set({"keys": keys})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise IssuerError(f"has keys that cannot be read ({type(error).__name__})") from error


def _base64(data: bytes, *, url: bool = True) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode() if url else b64encode(data).decode()
