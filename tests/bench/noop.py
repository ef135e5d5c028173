"""A Celery app whose only task does nothing: what the machine could do at best."""

from celery import Celery

app = Celery("noop")
app.conf.update(task_default_queue="noop", task_ignore_result=True, worker_prefetch_multiplier=1, task_acks_late=True)


@app.task(name="noop")
def noop():
    pass
