# A small image of the voice server: a virtual environment, the server's own files, nothing else.
# Build: docker build -t indic-voice-server .
# Run:   see docker-compose.yml and docs/operations.md

FROM python:3.11-slim AS packages
# The environment is made without pip, so that the image that runs carries no installer of ours.
RUN python -m venv --without-pip /venv
COPY requirements.txt ./
# Packages that vendors need (docs/providers.md), such as "anthropic pipecat-ai[google]".
ARG PACKAGES=""
# The two are for JOURNAL_KEY and for a PostgreSQL as INDEX_URL.
RUN pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
    -r requirements.txt cryptography==50.0.2 asyncpg==0.32.0 ${PACKAGES}

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/tmp/numba \
    HOST=0.0.0.0 \
    PORT=7860 \
    DATA_DIR=/data
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin voice \
    && install -d -o voice -g voice /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY LICENSE main.py ./
COPY api api
COPY bot bot
COPY commands commands
COPY config config
COPY serializer serializer
COPY services services
COPY sessions sessions
COPY storage storage
COPY simulators simulators
COPY web web
COPY agent_configs agent_configs
# Settings are the operator's, in a folder that is mounted; without a file there, defaults hold.
RUN ln -s /config/config.yaml config/config.yaml
# The user that runs it can write /data and /tmp only, so bytecode is made here.
RUN python -m compileall -q .
USER voice
VOLUME /data
EXPOSE 7860
# On 0.0.0.0 the server is in production mode and does not start without JWT_SECRET.
HEALTHCHECK --interval=10s --timeout=4s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health/live', timeout=3)"]
STOPSIGNAL SIGTERM
CMD ["python", "main.py", "serve"]
