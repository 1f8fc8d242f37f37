package configs

// issuerRate is what one client and one address may ask an issuer for, in a second.
const issuerRate = 200

// bursting is a rate of the issuer's, and how many may come at once.
func bursting(said *Rate) (perSecond float64, burst int) {
	perSecond = issuerRate
	if said != nil {
		perSecond = float64(*said)
	}
	return perSecond, max(1, int(burstOf*perSecond))
}
