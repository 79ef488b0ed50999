import pytest

from changes.vcs import names
from changes.vcs.errors import BadName

GOOD_URLS = [
    "/srv/repositories/a project.git",
    "file:///srv/repositories/a.git",
    "https://example.com/a.git",
    "https://zoe:secret@example.com:8443/a.git",
    "http://[::1]:8080/a",
    "git://example.com/a",
    "ssh://git@example.com:29418/a",
]
SCP_STYLE_URLS = ["git@example.com:team/a.git", "example.com:a"]
HOSTILE_URLS = [
    "",
    "--upload-pack=touch /tmp/x",
    "-oProxyCommand=x:y",
    "ext::sh -c touch% /tmp/x",
    "fd::17",
    "ftp://example.com/a",
    "ssh://-oProxyCommand=x/a",
    "ssh://-oProxyCommand=x@example.com/a",
    "-x@example.com:a",
    "git@-oProxyCommand=x:a",
    "https://example.com/a\n[core]",
    "https://example.com/\0a",
    "https:///a",
    "https://exa mple.com/a",
    "https://example.com:port/a",
    "https://[::1/a",
    "transport::https://example.com",
    "relative/path",
    "../up",
    "~/a",
    "/" + "a" * 1000,
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_urls_of_repositories_pass(url: str) -> None:
    names.check_url(url)


@pytest.mark.parametrize("url", SCP_STYLE_URLS)
def test_the_manner_of_scp_passes_for_git_only(url: str) -> None:
    names.check_url(url, allows_scp_style=True)

    with pytest.raises(BadName):
        names.check_url(url)


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_hostile_urls_are_refused(url: str) -> None:
    with pytest.raises(BadName):
        names.check_url(url, allows_scp_style=True)


@pytest.mark.parametrize("url", ["bundle:/etc/passwd", "union:/a+/b", "static-http://example.com/a"])
def test_what_mercurial_alone_would_read_is_refused(url: str) -> None:
    with pytest.raises(BadName):
        names.check_url(url)


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(BadName) as caught:
        names.check_url("https://zoe:secret@exa mple.com/a")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["main", "feature/ü-1", "v1.0", "HEAD", "a" * 40, "refs/pull/1/head", "5"])
def test_names_of_revisions_pass(name: str) -> None:
    names.check_revision(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "-x", "--output=/tmp/x", "a..b", "a b", "a\nb", "a\0b", "main@{1}", "@", "HEAD~1", "HEAD^"),
        *("a:b", "a*", "a?", "[a]", "a\\b", '"', "/a", "a/", "a//b", ".", "a.lock", "a" * 1001, "\udcff"),
        *("all() or 'x'", "a'", "x\x7f"),
    ],
)
def test_hostile_names_of_revisions_are_refused(name: str) -> None:
    with pytest.raises(BadName):
        names.check_revision(name)


@pytest.mark.parametrize("sha", ["", "main", "a" * 39, "A" * 40, "a" * 41, "-" + "a" * 39])
def test_only_a_full_sha_is_a_sha(sha: str) -> None:
    with pytest.raises(BadName):
        names.check_sha(sha)


@pytest.mark.parametrize("path", ["a", "a/b c/ü.txt", "-x", ":(top)a", "...", "a/..b"])
def test_paths_inside_a_repository_pass(path: str) -> None:
    names.check_path(path)


@pytest.mark.parametrize(
    "path", ["", ".", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "a\nb", "a\0b"]
)
def test_paths_that_are_not_plain_are_refused(path: str) -> None:
    with pytest.raises(BadName):
        names.check_path(path)


@pytest.mark.parametrize(
    ("url", "clean", "username", "password"),
    [
        ("https://zoe:s%40fe@example.com/a", "https://example.com/a", "zoe", "s@fe"),
        ("https://token@example.com:81/a", "https://example.com:81/a", "token", ""),
        ("http://a@b:c@example.com/a", "http://example.com/a", "a@b", "c"),
    ],
)
def test_credentials_are_taken_out_of_a_url(url: str, clean: str, username: str, password: str) -> None:
    clean_url, credentials = names.split_credentials(url)

    assert clean_url == clean
    assert credentials is not None
    assert (credentials.username, credentials.password) == (username, password)


def test_the_user_of_ssh_stays_but_a_password_goes() -> None:
    assert names.split_credentials("ssh://git:pw@example.com/a") == ("ssh://git@example.com/a", None)


def test_masked_text_shows_neither_user_info_nor_secrets() -> None:
    masked = names.mask("fatal: https://zoe:pw@example.com/ said hunter2", ("hunter2",))

    assert masked == "fatal: https://***@example.com/ said ***"
