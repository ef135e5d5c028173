"""The school's directories: ids from the brief where it gives them, else invented. Back-ticks belong to the names."""

COURSES = {
    "10985": "Он-лайн Групповое",
    "10986": "Он-лайн индивидуальные",
    "10987": "Групповые занятия",
    "10988": "Индивидуальные занятия",
}
BRANCHES = {"2633": "+Он-лайн `МСК", "2634": "+ ЦДШ `МСК", "2635": "+ СКОЛКОВО `МСК *"}

# Groups exist for what is really taught: online courses online, the others in the two halls. (branch, course) → group.
GROUPS = {
    ("2633", "10985"): "Он-лайн группа 1",
    ("2633", "10986"): "Он-лайн с тренером",
    ("2634", "10987"): "ЦДШ младшая группа",
    ("2634", "10988"): "ЦДШ с тренером",
    ("2635", "10987"): "Сколково младшая группа",
    ("2635", "10988"): "Сколково с тренером",
}
TICKET_TYPES = (
    "6 КМС индивидуальные 45 мин",
    "4 занятия групповые 60 мин",
    "8 занятий групповые 60 мин",
    "8 занятий он-лайн групповые 45 мин",
    "4 занятия он-лайн индивидуальные 30 мин",
)
EMPLOYEES = ("Андрей Сергеев", "Марина Ладейкина", "Глеб Коневский", "Ольга Ферзева")
GENDERS = ("M", "F")
PAYMENTS = ("CASH", "ONLINE")


def groups_of(branches: list[str], courses: list[str]) -> list[str]:
    """Every group of the sent branches × courses."""
    return [GROUPS[branch, course] for branch in branches for course in courses if (branch, course) in GROUPS]
