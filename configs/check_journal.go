package configs

// checkJournal: without a journal a store that comes back from the past would take revoked tokens for live ones.
func (b *builder) checkJournal() {
	path := []any{"revocation", "journal"}
	switch {
	case b.file.Store.memory && b.set(path...):
		b.doc.warn(b.doc.key(path...), "revocation.journal has no effect: what a store in memory forgets has ended anyway")
	case b.file.Store.Redis != nil && b.role.issuer():
		b.need("without its own record of revocations an issuer cannot bring a restarted Redis up to date; "+
			"write journal: /var/lib/coatcheck/revocations.journal, on a disk that survives a restart, one for each issuer", path...)
		if b.set(path...) && b.file.Revocation.Journal == "" {
			b.faultAt(path, "is empty; write a path such as /var/lib/coatcheck/revocations.journal")
		}
	}
}
