package issuer

// hidden keeps a secret where nothing prints it by accident. fmt calls no methods on unexported fields, it walks the
// memory instead, and with some verbs follows pointers; a func it shows as an address. Calling it is the one way out.
type hidden[T any] func() T

func hide[T any](v T) hidden[T] { return func() T { return v } }
