import pytest

from tests.harbour import open_harbour


@pytest.fixture
def harbour(tmp_path, database_url, request):
    """An installation on SQLite (or the database that the test names) with what `@pytest.mark.outside` asks for."""
    marked = request.node.get_closest_marker("outside")
    opened = open_harbour(tmp_path, database_url, **(marked.kwargs if marked else {}))
    yield opened
    opened.stop()
