from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.settings import Settings, settings_page, settings_table

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


@pytest.fixture(autouse=True)
def _no_dotenv(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_reference_page_is_current():
    assert PAGE.read_text() == settings_page()


@pytest.mark.parametrize("row", settings_table(), ids=lambda row: row["name"])
def test_every_setting_says_what_it_does(row):
    assert row["help"].endswith(".")
    assert row["type"]


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TIFFIN_MAX_BODY", "1234")
    assert Settings().max_body == 1234


def test_settings_come_from_a_dotenv_file(tmp_path):
    (tmp_path / ".env").write_text("TIFFIN_LEASE=7\nOTHER=1\n")
    assert Settings().lease == 7


def test_proxies_are_a_list_separated_by_commas(monkeypatch):
    monkeypatch.setenv("TIFFIN_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7")
    assert Settings().trusted_proxies == ("10.0.0.0/8", "192.0.2.7/32")


def test_a_proxy_that_is_no_network_is_refused(monkeypatch):
    monkeypatch.setenv("TIFFIN_TRUSTED_PROXIES", "10.0.0.0/8,proxy.example")
    with pytest.raises(ValidationError):
        Settings()


def test_a_body_larger_than_all_bodies_together_is_refused():
    with pytest.raises(ValidationError, match="TIFFIN_BODY_BYTES"):
        Settings(max_body=2000, body_bytes=1000)


@pytest.mark.parametrize("traces", ["collector:4318", "ftp://collector", "http://", "off"])
def test_traces_go_to_an_endpoint_over_http(traces):
    with pytest.raises(ValidationError, match="OTLP/HTTP"):
        Settings(traces=traces)


def test_secrets_are_not_shown():
    assert "hush-hush" not in repr(Settings(admin_key="hush-hush", secret_key="hush-hush"))


def test_options_for_kafka_are_pairs():
    options = Settings(kafka_options="security.protocol=SASL_SSL sasl.password=a=b").kafka_settings
    assert options == {"security.protocol": "SASL_SSL", "sasl.password": "a=b"}


def test_a_wrong_secret_setting_is_not_quoted():
    with pytest.raises(ValidationError) as error:
        Settings(kafka_options="hush-hush")
    assert "hush-hush" not in str(error.value)
