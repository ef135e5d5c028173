"""Celery's fixed settings; addresses and the schedule come from `parom.toml` (workers/app.py).

Messages are hints: they carry ids, may be lost and may come twice, so nothing here tries to make them precious.
"""

from kombu import Queue

task_serializer = "json"
accept_content = ["json"]
task_ignore_result = True
task_store_errors_even_if_ignored = False

# Two queues, so that a poll or a tick waits behind no backlog; settings see to it that threads are left for them.
task_default_queue = "parom"
task_queues = (Queue("parom"), Queue("parom.sync"))
task_routes = {"parom.sync": {"queue": "parom.sync"}}

worker_pool = "threads"  # waiting on vendors is most of the work; prefork's time limits are not needed (DESIGN §3)
worker_prefetch_multiplier = 1
task_acks_late = True
worker_cancel_long_running_tasks_on_connection_loss = False
worker_hijack_root_logger = False
worker_send_task_events = True
task_send_sent_event = False

# A tick is harmless twice and late, so beat needs no file that two beats would fight for.
beat_scheduler = "workers.beat:PatientScheduler"
beat_max_loop_interval = 1

# The ledger publishes a lost hint again within seconds; a publisher must never wait for a Redis that is away.
task_publish_retry = False
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_channel_error_retry = True
broker_transport_options = {
    # No list of unacknowledged messages: the ledger sends a lost hint again sooner, and kombu's way to restore them
    # ends the worker when Redis goes away at the wrong moment (AttributeError in Channel.close, kombu 5.7.0).
    "ack_emulation": False,
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
}
