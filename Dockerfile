FROM python:3.13-slim
WORKDIR /opt/parom
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps . && useradd --create-home parom
USER parom
WORKDIR /var/lib/parom
ENV PAROM_CONFIG=/etc/parom/parom.toml PAROM_LOG_FORMAT=json
ENTRYPOINT ["parom"]
