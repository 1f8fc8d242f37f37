"""verify.py JWKS ISSUER AUDIENCE <TOKEN: verifies an access token as a service in Python would, with PyJWT."""
import json
import sys

import jwt

keys, issuer, audience = sys.argv[1:]
token = sys.stdin.read().strip()
with open(keys) as f:
    jwks = jwt.PyJWKSet.from_dict(json.load(f))
header = jwt.get_unverified_header(token)
assert header["typ"] == "at+jwt", header
key = next(k for k in jwks.keys if k.key_id == header["kid"])
claims = jwt.decode(token, key.key, algorithms=["ES256"], issuer=issuer, audience=audience,
                    options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]})
assert isinstance(claims["aud"], str), claims
