import pytest

from server.webhooks import address_of


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("pos/acme/webhooks/menu", ("pos", "acme", "", "menu")),
        ("erp/acme/webhooks/stock/bulk", ("erp", "acme", "", "stock/bulk")),
        ("admin/acme/webhooks/x", ("admin", "acme", "", "x")),
        ("seller/acme/import", ("seller", "acme", "", "import")),
        ("seller/acme/webhooks/import", ("seller", "acme", "", "import")),
        ("pos/acme/c/one/menu", ("pos", "acme", "one", "menu")),
        ("pos/acme/c/one/any/path/at/all", ("pos", "acme", "one", "any/path/at/all")),
    ],
)
def test_a_url_of_a_family_is_read(path, address):
    assert address_of("/v1/integrations/" + path) == address


@pytest.mark.parametrize(
    "path",
    [
        "",
        "pos",
        "pos/acme",
        "pos/acme/",
        "pos/acme/webhooks",
        "pos/acme/webhooks/",
        "pos/acme/import",
        "seller/acme/import/more",
        "pos/acme/c",
        "pos/acme/c/one",
        "pos/acme/c//menu",
        "shop/acme/webhooks/menu",
        "POS/acme/webhooks/menu",
    ],
)
def test_a_url_of_no_family_is_not_guessed_at(path):
    assert address_of("/v1/integrations/" + path) is None
