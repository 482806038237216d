"""The requests that clients send, as bytes, and the bodies that they must be answered with."""

from .site import host_name, prefix

_ALPHABET = b"abcdefghijklmnopqrstuvwxyz"
_COOKIES = (
    "PHPSESSID=6v9s1k7q0d3m2f8n5b4c1x0z9a; "
    "cart=eyJpdGVtcyI6W3siaWQiOjQ4MTUsInF0eSI6Mn0seyJpZCI6MTYyMywicXR5IjoxfV0sImN1cnJlbmN5IjoiRVVSIn0%3D; "
    "private_content_version=8f14e45fceea167a5a36dedd4bea2543; form_key=Jx8ZQm2pV0sT4nLd; "
    "mage-cache-sessid=true; mage-cache-storage=%7B%7D; section_data_ids=%7B%22cart%22%3A1710000000%7D; "
    "_ga=GA1.1.1837402951.1709912345; _ga_4QZ8K1T7XB=GS1.1.1710000000.12.1.1710000480.0.0.0; "
    "_gcl_au=1.1.2030417711.1709912346; _fbp=fb.1.1709912346817.1190412285; "
    "cookie_consent=%7B%22necessary%22%3Atrue%2C%22statistics%22%3Afalse%2C%22marketing%22%3Afalse%7D"
)
_BROWSER_FIELDS = [
    "Connection: keep-alive",
    'sec-ch-ua: "Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"',
    "sec-ch-ua-mobile: ?0",
    'sec-ch-ua-platform: "Linux"',
    "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "Sec-Fetch-Site: same-origin",
    "Referer: https://shop.example.com/catalogue/chairs.html?colour=green&page=2",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-GB,en;q=0.9,fr;q=0.8",
    f"Cookie: {_COOKIES}",
]


def expected_body(size: int) -> bytes:
    return (_ALPHABET * (size // len(_ALPHABET) + 1))[:size]


def path_of(request: bytes) -> str:
    return request.split(b" ", 2)[1].decode()


def get(path: str, fields: list[str] | None = None, host: str = "shop.example.com") -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(fields or [])]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def browser() -> bytes:
    return get("/catalogue/chairs/page", _BROWSER_FIELDS)


def closing() -> bytes:
    return get("/128", ["Connection: close"])


def upload(size: int) -> bytes:
    head = (f"POST /upload-{size} HTTP/1.1\r\nHost: shop.example.com\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n")
    return head.encode() + expected_body(size)


def to_every_route(hosts: int, prefixes: int) -> list[bytes]:
    return [get(f"{prefix(p)}128", host=host_name(h)) for h in range(hosts) for p in range(prefixes)]
