package revocation

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"sync"
)

var (
	errPower = errors.New("the power is cut")
	errDisk  = errors.New("input/output error")
	errFull  = errors.New("no space left on device")
)

// fragile is a disk that loses what was not fsynced, in any way that a crash may lose it, and that forgets what it could
// not fsync, as Linux does: the next fsync of the file says yes.
type fragile struct {
	mu     sync.Mutex // held by each step: a journal is written anew while others append to it
	steps  int        // left until the power is cut; below 0: never
	room   int        // bytes that may yet be written; below 0: any
	unsync int        // fsyncs left until one fails; below 0: never

	names, durable map[string]*inode
}

// inode is a file: what is read of it, and how much of that is really there.
type inode struct {
	data   []byte
	synced int
	lost   bool // an fsync has failed: what is not synced now never will be
}

func newFragile() *fragile {
	return &fragile{steps: -1, room: -1, unsync: -1, names: map[string]*inode{}, durable: map[string]*inode{}}
}

func (d *fragile) step() error {
	if d.steps == 0 {
		return errPower
	}
	d.steps--
	return nil
}

func (d *fragile) open(name string) (medium, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, ok := d.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return &handle{disk: d, node: n, rest: bytes.NewReader(n.data)}, d.step()
}

func (d *fragile) create(name string) (medium, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	n := &inode{}
	d.names[name] = n
	return &handle{disk: d, node: n}, nil
}

func (d *fragile) replace(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	d.names[to] = d.names[from]
	delete(d.names, from)
	if err := d.step(); err != nil {
		return err
	}
	d.durable = maps.Clone(d.names)
	return nil
}

func (d *fragile) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.names, name)
	return d.step()
}

// restart is the same disk after a crash of the machine: an entry of the folder may be old or new, and of what was not
// fsynced any part may be there, with holes of zeros.
func (d *fragile) restart(r *rand.Rand) *fragile {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newFragile()
	names := d.durable
	if r.IntN(2) == 0 {
		names = d.names
	}
	for name, n := range names {
		data := bytes.Clone(n.data[:n.synced])
		if loose := n.data[n.synced:]; len(loose) > 0 {
			data = append(data, tear(r, loose)...)
		}
		after.names[name] = &inode{data: data, synced: len(data)}
	}
	after.durable = maps.Clone(after.names)
	return after
}

func tear(r *rand.Rand, loose []byte) []byte {
	torn := bytes.Clone(loose[:r.IntN(len(loose)+1)])
	for range r.IntN(3) {
		if len(torn) > 0 {
			from := r.IntN(len(torn))
			clear(torn[from:min(len(torn), from+64)])
		}
	}
	return torn
}

type handle struct {
	disk *fragile
	node *inode
	rest *bytes.Reader
}

func (h *handle) Read(b []byte) (int, error) { return h.rest.Read(b) }
func (h *handle) Close() error               { return nil }

func (h *handle) Write(b []byte) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.step(); err != nil {
		h.node.data = append(h.node.data, b[:len(b)/2]...)
		return len(b) / 2, err
	}
	if h.disk.room >= 0 && len(b) > h.disk.room {
		n := h.disk.room
		h.node.data = append(h.node.data, b[:n]...)
		h.disk.room = 0
		return n, errFull
	}
	if h.disk.room >= 0 {
		h.disk.room -= len(b)
	}
	h.node.data = append(h.node.data, b...)
	return len(b), nil
}

func (h *handle) Sync() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.step(); err != nil {
		return err
	}
	if h.disk.unsync == 0 {
		h.disk.unsync, h.node.lost = -1, true
		return errDisk
	}
	h.disk.unsync--
	if !h.node.lost {
		h.node.synced = len(h.node.data)
	}
	return nil
}

var _ io.Reader = (*handle)(nil)

// copy is the disk as a machine has it that was made from a picture of this one.
func (d *fragile) copy() *fragile {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newFragile()
	for name, n := range d.names {
		c.names[name] = &inode{data: bytes.Clone(n.data), synced: n.synced}
	}
	c.durable = maps.Clone(c.names)
	return c
}
