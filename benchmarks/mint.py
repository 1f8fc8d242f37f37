#!/usr/bin/env python3
"""Ask the lab's issuer for N references by client_credentials: mint.py URL SECRET_FILE N OUT, one reference a line."""
import base64, concurrent.futures, http.client, json, sys, threading, urllib.parse

url, secret_file, n, out = urllib.parse.urlparse(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
secret = urllib.parse.quote(open(secret_file).read().strip(), safe="")
basic = base64.b64encode(("lab:" + secret).encode()).decode()
local = threading.local()

def one(_):
    if not hasattr(local, "conn"):
        local.conn = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    local.conn.request("POST", "/oauth2/token", "grant_type=client_credentials",
                       {"Authorization": "Basic " + basic, "Content-Type": "application/x-www-form-urlencoded"})
    answer = local.conn.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit("the issuer refused: %d %s" % (answer.status, body[:300]))
    return json.loads(body)["access_token"]

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    refs = list(pool.map(one, range(n)))
with open(out, "w") as f:
    f.write("\n".join(refs) + "\n")
print("minted %d references of %d characters" % (len(refs), len(refs[0])))
