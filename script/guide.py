"""The guide's blocks, and what stands in for the rest of the world while they are tried."""

import re
import textwrap
import time

from script.bare_machine import TRUSTED, Machine
from script.children import ROOT

GUIDE = ROOT / "docs" / "deployment.md"
BLOCK = re.compile(
    r"^ *<!-- run: (?P<name>[a-z-]+) -->\n *```sh\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
HOST = "learn.example.com"
SANDBOX = "http://127.0.0.1:8701"
OUTSIDE_HOSTS = ("api.stripe.com", "checkout.stripe.com", "lms.trial.org", "mail.trial.org")
SECRET = "whsec_of-the-trial-of-the-guide"
BY_HAND = f"""
cat >> /etc/maaledu/env << END
STRIPE_SECRET_KEY=sk_test_sandbox
STRIPE_LIVEMODE=false
STRIPE_WEBHOOK_SECRET={SECRET}
FRAPPE_LMS_BASE_URL=https://lms.trial.org
FRAPPE_LMS_API_KEY=sandbox-key:sandbox-secret
LMS_PRIVATE_HOSTS=lms.trial.org
EMAIL_HOST=mail.trial.org
EMAIL_PORT=2525
EMAIL_USE_TLS=false
DEFAULT_FROM_EMAIL=Shop <courses@trial.org>
STAFF_ALERT_EMAILS=staff@trial.org
SUPPORT_EMAIL=help@trial.org
COMPANY_NAME=Trial Ltd.
COMPANY_ADDRESS=2 High Street; London
RATE_LIMIT_CHECKOUT=1000/15m
END
"""
# In place of Let's Encrypt: an authority that this machine trusts. Stripe's SDK and the client of
# the LMS bring their own list of authorities, so Python adds this one to each.
AUTHORITY = f"""
folder=/etc/letsencrypt/live/{HOST}
authority=/usr/local/share/ca-certificates/trial.crt
mkdir -p $folder /root/authority && cd /root/authority
openssl req -x509 -nodes -newkey rsa:2048 -days 30 -subj "/CN=Authority of the trial" \\
    -keyout ca.key -out $authority 2> /dev/null
openssl req -nodes -newkey rsa:2048 -subj "/CN={HOST}" -keyout $folder/privkey.pem \\
    -out site.csr 2> /dev/null
echo "subjectAltName=DNS:{HOST},{",".join(f"DNS:{name}" for name in OUTSIDE_HOSTS)}" > names
openssl x509 -req -in site.csr -CA $authority -CAkey ca.key -CAcreateserial -days 30 \\
    -extfile names -out $folder/fullchain.pem 2> /dev/null
"""
TRUST = """
authority=/usr/local/share/ca-certificates/trial.crt
update-ca-certificates > /dev/null
cat > /etc/python3.11/sitecustomize.py << END
import ssl

_load = ssl.SSLContext.load_verify_locations


def load_verify_locations(self, *args, **kwargs):
    _load(self, *args, **kwargs)
    _load(self, cafile="$authority")


ssl.SSLContext.load_verify_locations = load_verify_locations
END
"""
NAMES = " ".join((HOST, *OUTSIDE_HOSTS))
# Stripe, LMS and mail are somebody else's: they live beside the shop, in a copy of their own.
OUTSIDE = f"""
git clone --quiet /mnt/source /opt/outside
cd /opt/outside && script/setup --quiet
SSL_CERT_FILE={TRUSTED} nohup .venv/bin/python -m sandbox --host 0.0.0.0 --courses-any \\
    --smtp-port 2525 \\
    --public-url https://checkout.stripe.com --webhook-secret {SECRET} \\
    --webhook-events '*' --webhook-url https://{HOST}/api/webhook --lms-user-limit 100000 \\
    > /var/log/sandbox.log 2>&1 &
cat > /etc/nginx/sites-enabled/outside << 'END'
server {{
    listen 443 ssl;
    server_name api.stripe.com checkout.stripe.com;
    ssl_certificate /etc/letsencrypt/live/{HOST}/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/{HOST}/privkey.pem;
    location / {{ proxy_pass {SANDBOX}; }}
}}
server {{
    listen 443 ssl;
    server_name lms.trial.org;
    ssl_certificate /etc/letsencrypt/live/{HOST}/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/{HOST}/privkey.pem;
    location / {{ proxy_pass {SANDBOX}/lms/; }}
}}
END
systemctl reload nginx
until curl -s {SANDBOX}/control/state > /dev/null; do sleep 1; done
"""
COURSE = """
maaledu shell --no-imports -c "
from courses.models import Course
Course.objects.create(slug='data', title='Data', summary='A course.', description='All of it.',
    category='data', price=49900, currency='usd', status='published', lms_platform='frappe',
    lms_course_id='data')"
"""


def blocks(name: str) -> list[str]:
    """Return what the guide marks by this name, in its order."""
    found = BLOCK.finditer(GUIDE.read_text())
    return [textwrap.dedent(each["code"]) for each in found if each["name"] == name]


COUNT = """
maaledu shell --no-imports -c "
from enrollments.models import Enrollment
print(Enrollment.objects.paid().count())"
"""


# The sandbox's purchases and plain visits go on until the file is gone; each must succeed.
LOAD = f"""
touch /run/load
cat > /run/load.py << 'END'
import pathlib, requests, time
from script import purchase
visits = bought = 0
failures = []
while pathlib.Path("/run/load").exists():
    try:
        for path in ("/", "/courses/data/", "/health/ready"):
            visits += 1
            answer = requests.get("https://{HOST}" + path, timeout=60)
            if answer.status_code != 200:
                failures.append((path, answer.status_code))
        if visits % 30 == 0:
            purchase.buy("https://{HOST}", "{SANDBOX}")
            bought += 1
    except Exception as error:
        failures.append(repr(error)[:300])
    time.sleep(0.05)
print(visits, "visits,", bought, "purchases, failures:", failures, flush=True)
END
(cd /opt/outside && PYTHONPATH=. REQUESTS_CA_BUNDLE={TRUSTED} .venv/bin/python /run/load.py \\
    > /run/load.log 2>&1) &
sleep 5
"""
END_LOAD = """
sleep 5
rm /run/load
wait %%
tail -n 1 /run/load.log
grep -q "failures: \\[\\]" /run/load.log
"""


def buy(machine: Machine) -> None:
    print(
        machine.run(f"""
(cd /opt/outside && REQUESTS_CA_BUNDLE={TRUSTED} .venv/bin/python -c \\
    "from script import purchase; purchase.buy('https://{HOST}', '{SANDBOX}')")
""").strip()
    )


def step(name: str) -> None:
    print(f"--- {time.strftime('%H:%M:%S')} {name}", flush=True)
