"""Certificates are read, checked and read again. `tests/served/test_listening.py` serves with them."""

import logging
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from chainzrule.service.errors import ServiceError
from chainzrule.service.tls import Certificates, TlsFiles
from tests.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_context_for_a_server(authority: Authority) -> None:
    certificate, key = authority.issue("server")
    context = Certificates(TlsFiles(certificate, key, None)).context
    assert context.verify_mode == ssl.CERT_NONE
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    context = Certificates(TlsFiles(certificate, key, authority.certificate)).context
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert [found["subject"] for found in context.get_ca_certs()] == [((("commonName", "authority"),),)]


def test_files_that_do_not_work_name_their_setting(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("server")
    other = authority.issue("other")[1]
    garbage = tmp_path / "garbage"
    garbage.write_text("garbage")
    locked = tmp_path / "locked"
    command = ["openssl", "ec", "-aes128", "-passout", "pass:s3cret", "-in", str(key), "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    for files, said in (
        (TlsFiles(tmp_path / "absent", key, None), "--tls-certificate: the file cannot be read"),
        (TlsFiles(certificate, tmp_path, None), "--tls-key: the file cannot be read"),
        (TlsFiles(certificate, key, tmp_path / "absent"), "--tls-client-ca: the file cannot be read"),
        (TlsFiles(certificate, other, None), "they do not work together"),
        (TlsFiles(garbage, key, None), "they do not work together"),
        (TlsFiles(certificate, garbage, None), "they do not work together"),
        (TlsFiles(certificate, locked, None), "they do not work together .*the key has a password"),
        (TlsFiles(certificate, key, garbage), "--tls-client-ca: the file holds no certificate"),
    ):
        with pytest.raises(ServiceError, match=said):
            Certificates(files)


def test_files_are_read_again_where_they_have_changed(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = authority.issue("server")
    certificates = Certificates(TlsFiles(certificate, key, None))
    first = certificates.context
    assert not certificates.refresh()
    assert certificates.context is first
    shutil.copy(authority.issue("next")[0], certificate)  # the key is still the old one's
    with caplog.at_level(logging.INFO):
        assert not certificates.refresh()
        assert certificates.context is first
        assert not certificates.refresh()
        assert [record.levelname for record in caplog.records] == ["ERROR"]  # said once
        key.unlink()
        assert not certificates.refresh()
        shutil.copy(tmp_path / "next.key", key)
        assert certificates.refresh()
        assert certificates.context is not first
        assert not certificates.refresh()
