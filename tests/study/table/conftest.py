from tests.study.confirm.conftest import toy

__all__ = ["toy"]
