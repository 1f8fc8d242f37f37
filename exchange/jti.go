package exchange

import (
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
)

var errNoReference = errors.New("exchange: this is not a whole reference: a character is missing, too many, or wrong")

// JTIOf derives the jti of a reference that somebody was handed, without any key: for an operator who has found one and
// ends it. Whether we made it, only an issuer can say; its form and checksum are right, so that no typing error ends, or
// seems to end, a grant.
func JTIOf(raw string) (string, error) {
	prefix, body, _ := strings.Cut(raw, "_")
	if !prefixForm.MatchString(prefix) || len(body) != bodySize || !isBase62(body) {
		return "", errNoReference
	}
	at := len(raw) - crcSize
	var crc [crcSize]byte
	putBase62(crc[:], uint64(crc32.ChecksumIEEE(view(raw[:at]))))
	if string(crc[:]) != raw[at:] {
		return "", errNoReference
	}
	return hex.EncodeToString(derive([]byte(raw), nil, jtiLabel, jtiSize)), nil
}
