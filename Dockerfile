# One image for the web processes, the worker and the beat; compose.yaml shows how each is started.
ARG PYTHON_IMAGE=python:3.11-slim-trixie
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt constraints.txt ./
RUN /venv/bin/pip install --no-cache-dir -r requirements.txt -c constraints.txt

FROM ${PYTHON_IMAGE}
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MAALEDU_ENV=production DJANGO_SETTINGS_MODULE=maaledu.settings \
    STATIC_ROOT=/srv/static
# For `manage.py backup`: pg_dump of the server's version, which compose.yaml names, or later.
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-client && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin maaledu
WORKDIR /app
COPY --from=build /venv /venv
COPY . .
# Static files are compiled into the image; the key is needed to import the settings and is kept nowhere.
RUN python -m compileall -q . && SECRET_KEY=only-while-the-image-is-built python manage.py collectstatic --noinput --verbosity 0
# What the processes count together for /metrics, the static files of this version and of those before, the backups:
# compose.yaml puts volumes there.
RUN mkdir -p /run/maaledu/metrics /backups && chown -R maaledu /run/maaledu/metrics /backups /srv/static
USER maaledu
EXPOSE 8000
# `exec` form throughout, so that SIGTERM reaches the process itself and a request under way is finished.
CMD ["gunicorn", "maaledu.wsgi", "--bind", "0.0.0.0:8000"]
