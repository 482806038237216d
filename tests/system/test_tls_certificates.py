"""Which certificate a client gets, what becomes of files that cannot be used, and `palier check` on both."""

import re
import ssl
from pathlib import Path

import pytest
from harness import (
    TlsClient, alert_of, client_context, curl, make_ca, make_certificate, make_stale, ocsp_response, openssl, revoke,
    run_palier, s_client, server, site, tls_listener, to_toml, wait_for)


def shown(palier, name: str | None) -> bytes:
    """The certificate (DER) that a client gets who asks for `name`."""
    with TlsClient(palier.port, name) as client:
        return client.shown


def refusal(palier, name: str | None) -> str:
    """The alert with which such a client is refused."""
    with pytest.raises(ssl.SSLError) as refused:
        TlsClient(palier.port, name)
    return alert_of(refused.value)


# Names


def test_each_name_gets_its_certificate(secure, ca, certs):
    made = {name: make_certificate(certs, [name], ca) for name in ("one.example", "two.example", "three.example")}
    palier = secure()
    for name, certificate in made.items():
        assert shown(palier, name) == certificate.der


def test_every_alternative_name_counts(secure, ca, certs):
    made = make_certificate(certs, ["one.example", "www.one.example", "two.example"], ca)
    palier = secure()
    assert {shown(palier, name) for name in ("one.example", "www.one.example", "two.example")} == {made.der}


def test_common_name_counts_only_without_alternative_names(secure, ca, certs):
    old = make_certificate(certs, ["old.example"], ca, alternative_names=False)
    new = make_certificate(certs, ["new.example"], ca, subject={"CN": "common.example"})
    palier = secure()
    assert shown(palier, "old.example") == old.der
    assert shown(palier, "new.example") == new.der
    assert refusal(palier, "common.example") == "unrecognized_name"


def test_case_of_a_name_does_not_matter(secure, ca, certs):
    made = make_certificate(certs, ["Shop.Example", "*.Wild.Example"], ca)
    palier = secure()
    for name in ("shop.example", "SHOP.EXAMPLE", "A.wild.EXAMPLE"):
        assert s_client(palier.port, name=name).shows(made)


def test_exact_name_before_wildcard(secure, ca, certs):
    wildcard = make_certificate(certs, ["*.shop.example"], ca)
    exact = make_certificate(certs, ["www.shop.example"], ca)
    palier = secure()
    assert shown(palier, "www.shop.example") == exact.der
    assert shown(palier, "other.shop.example") == wildcard.der


def test_wildcard_stands_for_one_label(secure, ca, certs):
    make_certificate(certs, ["*.shop.example"], ca)
    palier = secure()
    for name in ("shop.example", "a.b.shop.example", "example"):
        assert refusal(palier, name) == "unrecognized_name"


def test_unknown_name_gets_the_default(secure, ca, certs):
    default = make_certificate(certs, ["main.example"], ca)
    other = make_certificate(certs, ["other.example"], ca)
    palier = secure(tls={"default": "main.example"})
    assert shown(palier, "unknown.example") == default.der
    assert shown(palier, None) == default.der
    assert shown(palier, "other.example") == other.der


def test_default_may_be_a_name_that_a_wildcard_covers(secure, ca, certs):
    made = make_certificate(certs, ["*.main.example"], ca)
    assert shown(secure(tls={"default": "www.main.example"}), "unknown.example") == made.der


def test_without_a_default_unknown_names_are_refused(secure, ca, certs):
    made = make_certificate(certs, ["main.example"], ca)
    palier = secure()
    assert refusal(palier, "unknown.example") == "unrecognized_name"
    assert refusal(palier, None) == "unrecognized_name"
    assert shown(palier, "main.example") == made.der


def test_authority_of_the_request_may_be_another_name(secure, raw_backend, ca, certs):
    """One certificate for two sites: browsers send both on one connection, and routes look at the Host."""
    make_certificate(certs, ["one.example", "two.example"], ca)
    palier = secure(raw_backend(name="a"))
    with TlsClient(palier.port, "one.example") as client:
        assert client.request(Host="one.example").body == client.request(Host="two.example").body == b"a"


# Kinds of keys


@pytest.fixture
def both_kinds(ca, certs):
    return (make_certificate(certs, ["test.example"], ca, file="ecdsa"),
            make_certificate(certs, ["test.example"], ca, file="rsa", key="rsa"))


@pytest.mark.parametrize("options", [
    ["-tls1_3", "-sigalgs"], ["-tls1_2", "-sigalgs"]], ids=["1.3", "1.2"])
def test_client_algorithms_choose_the_kind_of_key(secure, both_kinds, options):
    ecdsa, rsa = both_kinds
    palier = secure()
    assert s_client(palier.port, *options, "ECDSA+SHA256").shows(ecdsa)
    assert s_client(palier.port, *options, "RSA-PSS+SHA256").shows(rsa)
    assert s_client(palier.port, *options, "ECDSA+SHA256:RSA-PSS+SHA256").shows(ecdsa)


def test_client_ciphers_choose_the_kind_of_key(secure, both_kinds):
    ecdsa, rsa = both_kinds
    palier = secure()
    assert s_client(palier.port, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256").shows(ecdsa)
    assert s_client(palier.port, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256").shows(rsa)


def test_ed25519(secure, ca, certs):
    made = make_certificate(certs, ["test.example"], ca, key="ed25519")
    assert shown(secure(), "test.example") == made.der


def test_chain_is_sent(secure, ca, certs, tmp_path):
    middle = make_ca(tmp_path, "middle", ca)
    make_certificate(certs, ["together.example"], middle)
    make_certificate(certs, ["apart.example"], middle, split=True)
    palier = secure()
    for name in ("together.example", "apart.example"):
        with TlsClient(palier.port, name, client_context(ca)) as client:  # who knows only the root
            assert client.request().status == 200


# Files


def test_sources_may_be_folders_and_files(secure, ca, certs, tmp_path):
    made = {name: make_certificate(folder, [name], ca) for folder, name in (
        (certs, "one.example"), (tmp_path / "other", "two.example"), (tmp_path / "files", "three.example"))}
    unnamed = make_certificate(tmp_path / "files", ["four.example"], ca)
    palier = secure(tls={"certificates": ["certs", tmp_path / "other/", made["three.example"].pem]})
    for name, certificate in made.items():
        assert shown(palier, name) == certificate.der
    assert unnamed.pem.exists() and refusal(palier, "four.example") == "unrecognized_name"


def test_layout_of_certbot(secure, ca, tmp_path):
    made = make_certificate(tmp_path / "archive", ["shop.example"], ca)
    live = tmp_path / "live" / "shop.example"
    live.mkdir(parents=True)
    (tmp_path / "live" / "README").write_text("This directory contains your keys and certificates.\n")
    (live / "README").write_text("This directory contains your keys and certificates.\n")
    (live / "fullchain.pem").symlink_to(made.crt)
    (live / "cert.pem").symlink_to(made.crt)
    (live / "chain.pem").symlink_to(ca.crt)
    (live / "privkey.pem").symlink_to(made.key)
    palier = secure(tls={"certificates": tmp_path / "live", "default": "shop.example"})
    assert shown(palier, "shop.example") == made.der
    assert "/README" not in palier.events() and "warn" not in palier.events().lower()


def damage(folder: Path, ca) -> dict[str, str]:
    """Puts into `folder` one of each kind of file that cannot be used, or not at its best: file name → what is said of
    it (a pattern)."""
    source = folder.parent / "sources"

    def fresh(name: str):
        return make_certificate(source, [f"{name}.example"], ca)

    for name in ("mismatch", "cut", "keyless", "scrambled"):
        fresh(name)
    (folder / "mismatch.pem").write_bytes(make_certificate(source, ["mismatch.example"], ca).crt.read_bytes() +
                                          fresh("another").key.read_bytes())
    (folder / "split.crt").write_bytes(fresh("split").crt.read_bytes())
    (folder / "split.key").write_bytes(fresh("apart").key.read_bytes())
    whole = fresh("cut").pem.read_bytes()
    (folder / "cut.pem").write_bytes(whole[:len(whole) // 3])
    (folder / "keyless.pem").write_bytes(fresh("keyless").crt.read_bytes())
    scrambled = bytearray(fresh("scrambled").pem.read_bytes())
    scrambled[60:300] = bytes(reversed(scrambled[60:300]))
    (folder / "scrambled.pem").write_bytes(scrambled)
    locked = fresh("locked")
    openssl("ec", "-in", locked.key, "-aes128", "-passout", "pass:secret", "-out", source / "locked.key")
    (folder / "locked.pem").write_bytes(locked.crt.read_bytes() + (source / "locked.key").read_bytes())
    make_certificate(folder, ["expired.example"], ca, days=-1, not_before=-10, file="expired")
    make_certificate(folder, ["early.example"], ca, days=90, not_before=5, file="early")
    return {"mismatch.pem": "key", "split.crt": "key", "cut.pem": "", "keyless.pem": "key", "scrambled.pem": "",
            "locked.pem": "key|passphrase|password", "expired.pem": "expired", "early.pem": "not valid before|not yet"}


def test_files_that_cannot_be_used_do_not_harm_the_others(secure, ca, certs):
    reasons = damage(certs, ca)
    made = make_certificate(certs, ["good.example"], ca)
    palier = secure()
    assert shown(palier, "good.example") == made.der
    for file, reason in reasons.items():
        palier.wait_event(rf"warn[^\n]*{re.escape(str(certs / file))}[^\n]*({reason})")
    for name in ("mismatch", "split", "cut", "keyless", "scrambled", "locked"):
        assert refusal(palier, f"{name}.example") == "unrecognized_name", name
    assert "good.pem" not in palier.events()


def test_valid_certificate_before_an_expired_one(secure, ca, certs):
    make_certificate(certs, ["test.example"], ca, days=-1, not_before=-10, file="a-expired")
    good = make_certificate(certs, ["test.example"], ca, file="b-good")
    make_certificate(certs, ["test.example"], ca, not_before=5, days=400, file="c-early")
    assert shown(secure(), "test.example") == good.der


def test_wildcard_takes_over_for_an_expired_name(secure, ca, certs):
    make_certificate(certs, ["www.test.example"], ca, days=-1, not_before=-10)
    good = make_certificate(certs, ["*.test.example"], ca)
    assert shown(secure(), "www.test.example") == good.der


def test_two_files_for_one_name(secure, ca, certs):
    shorter = make_certificate(certs, ["test.example"], ca, file="a", days=30)
    longer = make_certificate(certs, ["test.example", "more.example"], ca, file="b", days=60)
    palier = secure()
    assert shown(palier, "test.example") == shown(palier, "more.example") == longer.der
    palier.wait_event(rf"warn[^\n]*{re.escape(str(shorter.pem))}[^\n]*test\.example")


def test_strange_names_of_files(secure, ca, certs):
    made = make_certificate(certs, ["test.example"], ca, file="caf\u00e9 \"x\" {} %s")
    (certs / "folder.pem").mkdir()
    (certs / "dangling.pem").symlink_to(certs / "nowhere")
    (certs / "loop.pem").symlink_to(certs / "loop.pem")
    (certs / "notes.txt").write_text("not a certificate")
    assert shown(secure(), "test.example") == made.der


def checked(tmp_path, certificates, **tls):
    """`palier check` on a site with these certificates."""
    config = tmp_path / "checked.toml"
    config.write_text(to_toml(site([server("a", "127.0.0.1:1")], listener=[tls_listener(certificates, **tls)])))
    return run_palier("check", "-c", config)


def test_check_names_every_file_that_cannot_be_used(ca, certs, tmp_path):
    reasons = damage(certs, ca)
    make_certificate(certs, ["good.example"], ca)
    done = checked(tmp_path, certs)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    for file, reason in reasons.items():
        assert re.search(rf"{re.escape(str(certs / file))}[^\n]*({reason})", said), f"{file}: {said}"
    assert "good.pem" not in said


def test_check_tells_what_ends_soon(ca, certs, tmp_path):
    make_certificate(certs, ["soon.example"], ca, days=13)
    make_certificate(certs, ["later.example"], ca, days=16)
    done = checked(tmp_path, certs)
    said = done.stdout + done.stderr
    assert done.returncode == 0
    assert re.search(r"soon\.example\.pem[^\n]*(expire|end)", said, re.IGNORECASE), said
    assert "later.example.pem" not in said


def test_check_is_content_with_good_ones(ca, certs, tmp_path):
    make_certificate(certs, ["test.example"], ca)
    done = checked(tmp_path, certs, default="test.example")
    assert done.returncode == 0 and "warn" not in (done.stdout + done.stderr).lower()


def unusable(kind: str, folder: Path, ca) -> None:
    if kind == "mismatch":
        made = [make_certificate(folder.parent / "sources", [f"{name}.example"], ca) for name in "ab"]
        (folder / "test.pem").write_bytes(made[0].crt.read_bytes() + made[1].key.read_bytes())
    elif kind == "garbage":
        (folder / "test.pem").write_bytes(b"\0\xff-----BEGIN CERTIFICATE-----\n" * 100)


@pytest.mark.parametrize("kind", ["empty", "mismatch", "garbage"])
def test_listener_without_any_certificate_is_refused(ca, certs, tmp_path, kind):
    unusable(kind, certs, ca)
    done = checked(tmp_path, certs)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "https" in said and "certificate" in said.lower()
    started = run_palier("run", "-c", tmp_path / "checked.toml")
    assert started.returncode == 1
    assert "https" in started.stderr and "certificate" in started.stderr.lower(), started.stderr
    if kind == "mismatch":
        assert "test.pem" in said and "test.pem" in started.stderr


def test_source_that_is_not_there_is_refused(tmp_path):
    done = checked(tmp_path, tmp_path / "nowhere")
    assert done.returncode == 1 and "nowhere" in done.stdout + done.stderr


@pytest.mark.parametrize("key, value, said", [
    ("ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256:NONSENSE", "NONSENSE"), ("ciphersuites", "TLS_NONSENSE", "TLS_NONSENSE"),
    ("groups", "X25519:NONSENSE", "NONSENSE"), ("default", "unknown.example", "unknown.example")])
def test_check_refuses_what_openssl_would(ca, certs, tmp_path, key, value, said):
    make_certificate(certs, ["test.example"], ca)
    done = checked(tmp_path, certs, **{key: value})
    assert said in done.stdout + done.stderr
    assert done.returncode == 1 or key == "default"


def test_check_refuses_ticket_keys_of_a_wrong_size(ca, certs, tmp_path):
    make_certificate(certs, ["test.example"], ca)
    (tmp_path / "tickets").write_bytes(b"x" * 81)
    done = checked(tmp_path, certs, ticket_keys=tmp_path / "tickets")
    assert done.returncode == 1 and "tickets" in done.stdout + done.stderr


# OCSP


GOOD = r"OCSP Response Status: successful.*Cert Status: good"
NONE = r"OCSP response: no response sent"


@pytest.fixture
def stapled(tmp_path, ca, certs):
    """An RSA authority below `ca`, a certificate of it, and its fresh OCSP response beside it."""
    authority = make_ca(tmp_path, "authority", ca, key="rsa")
    made = make_certificate(certs, ["test.example"], authority)
    return authority, made, ocsp_response(made, authority, certs / "test.example.ocsp")


def staple(palier) -> str:
    return s_client(palier.port, "-status").text


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_staple_is_served_to_those_who_ask(secure, stapled, version):
    palier = secure()
    assert re.search(GOOD, s_client(palier.port, version, "-status").text, re.DOTALL)
    assert "OCSP Response Status" not in s_client(palier.port, version).text


def test_curl_believes_the_staple(secure, ca, stapled):
    palier = secure()
    answer = curl(f"https://test.example:{palier.port}/", "--resolve", f"test.example:{palier.port}:127.0.0.1",
                  "--cacert", str(ca.crt), "--cert-status")
    assert answer.exit_code == 0, answer.error


def test_stale_staple_is_not_served(secure, stapled):
    authority, _, file = stapled
    make_stale(file, authority)
    palier = secure()
    assert re.search(NONE, staple(palier))
    palier.wait_event(rf"warn[^\n]*{re.escape(str(file))}")


def test_staple_of_another_certificate_is_not_served(secure, stapled, certs):
    authority, _, file = stapled
    ocsp_response(make_certificate(certs, ["other.example"], authority), authority, file)
    palier = secure()
    assert re.search(NONE, staple(palier))
    palier.wait_event(rf"warn[^\n]*{re.escape(str(file))}[^\n]*another certificate")


def test_staple_that_says_revoked_is_not_served(secure, stapled):
    authority, made, file = stapled
    revoke(made, authority)
    ocsp_response(made, authority, file)
    palier = secure()
    assert re.search(NONE, staple(palier))
    palier.wait_event(rf"warn[^\n]*{re.escape(str(file))}[^\n]*revoked")


def test_damaged_staple_does_not_harm_its_certificate(secure, stapled):
    _, made, file = stapled
    file.write_bytes(file.read_bytes()[:-40])
    palier = secure()
    assert shown(palier, "test.example") == made.der
    assert re.search(NONE, staple(palier))
    palier.wait_event(rf"warn[^\n]*{re.escape(str(file))}")


def test_new_staple_is_picked_up(secure, stapled):
    authority, made, file = stapled
    file.unlink()
    palier = secure()
    assert re.search(NONE, staple(palier))
    ocsp_response(made, authority, file)
    wait_for(lambda: re.search(GOOD, staple(palier), re.DOTALL), "the staple", timeout=3)
    file.unlink()
    wait_for(lambda: re.search(NONE, staple(palier)), "the end of the staple", timeout=3)
