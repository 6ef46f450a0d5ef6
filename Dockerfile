# One image for the web processes, the worker and the beat; compose.yaml shows how each is started.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt constraints.txt ./
RUN /venv/bin/pip install --no-cache-dir -r requirements.txt -c constraints.txt

FROM python:3.11-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MAALEDU_ENV=production DJANGO_SETTINGS_MODULE=maaledu.settings
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin maaledu
WORKDIR /app
COPY --from=build /venv /venv
COPY . .
# Static files are compiled into the image; the key is needed to import the settings and is kept nowhere.
RUN python -m compileall -q . && SECRET_KEY=only-while-the-image-is-built python manage.py collectstatic --noinput --verbosity 0
USER maaledu
EXPOSE 8000
# `exec` form throughout, so that SIGTERM reaches the process itself and a request under way is finished.
CMD ["gunicorn", "maaledu.wsgi", "--bind", "0.0.0.0:8000"]
