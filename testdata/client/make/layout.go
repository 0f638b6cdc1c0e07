package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// member is a file of an archive.
type member struct {
	name, text, link string
	mode             int64
	id               int
	dir              bool
}

// archive is a tar whose files all have one time.
func archive(members ...member) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		header := &tar.Header{Name: m.name, Mode: m.mode, Uid: m.id, Gid: m.id, Size: int64(len(m.text)), ModTime: time.Unix(1400000000, 0), Typeflag: tar.TypeReg, Linkname: m.link}
		if m.dir {
			header.Typeflag = tar.TypeDir
		}
		if m.link != "" {
			header.Typeflag = tar.TypeSymlink
		}
		if err := w.WriteHeader(header); err != nil {
			panic(err)
		}
		if _, err := w.Write([]byte(m.text)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func zipped(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// sourceTree is the directory that stands for local://src, as an archive, with archives in it.
func sourceTree() []byte {
	pack := archive(
		member{name: "p/", mode: 0o750, dir: true, id: 21},
		member{name: "p/one", mode: 0o600, text: "packed one", id: 22},
		member{name: "p/link", mode: 0o777, link: "one"})
	return archive(
		member{name: "a/", mode: 0o755, dir: true},
		member{name: "a/x", mode: 0o644, text: "x"},
		member{name: "a/y", mode: 0o600, text: "y"},
		member{name: "a/run.sh", mode: 0o755, text: "#!/bin/sh\n"},
		member{name: "b/", mode: 0o750, dir: true},
		member{name: "b/z", mode: 0o644, text: "z"},
		member{name: "b/deep/", mode: 0o755, dir: true},
		member{name: "b/deep/w", mode: 0o644, text: "w"},
		member{name: "b/deep/up", mode: 0o777, link: "../z"},
		member{name: "dirlink", mode: 0o777, link: "b"},
		member{name: "empty/", mode: 0o711, dir: true},
		member{name: "link", mode: 0o777, link: "a/x"},
		member{name: "with space", mode: 0o644, text: "s"},
		member{name: ".hidden", mode: 0o644, text: "h"},
		member{name: "pack.tar", mode: 0o644, text: string(pack)},
		member{name: "pack.tar.gz", mode: 0o644, text: string(zipped(pack))})
}

// writeLayout writes the image that oci-layout cases name, and gives the digest of its manifest.
func writeLayout(dir string) digest.Digest {
	put := func(data []byte) ocispecs.Descriptor {
		d := digest.FromBytes(data)
		path := filepath.Join(dir, "blobs", "sha256", d.Encoded())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			panic(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			panic(err)
		}
		return ocispecs.Descriptor{Digest: d, Size: int64(len(data))}
	}
	document := func(mediaType string, value any) ocispecs.Descriptor {
		data, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		d := put(data)
		d.MediaType = mediaType
		return d
	}
	layers := [][]byte{
		archive(member{name: "one/", mode: 0o755, dir: true}, member{name: "one/f", mode: 0o640, text: "first layer", id: 5}),
		archive(member{name: "one/", mode: 0o755, dir: true}, member{name: "one/.wh.f"}, member{name: "one/g", mode: 0o600, text: "second layer"})}
	config := ocispecs.Image{Platform: ocispecs.Platform{Architecture: "amd64", OS: "linux"}, RootFS: ocispecs.RootFS{Type: "layers"}}
	manifest := ocispecs.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageManifest}
	for _, layer := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(layer))
		d := put(zipped(layer))
		d.MediaType = ocispecs.MediaTypeImageLayerGzip
		manifest.Layers = append(manifest.Layers, d)
	}
	manifest.Config = document(ocispecs.MediaTypeImageConfig, config)
	top := document(ocispecs.MediaTypeImageManifest, manifest)
	index, err := json.Marshal(ocispecs.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageIndex, Manifests: []ocispecs.Descriptor{top}})
	if err != nil {
		panic(err)
	}
	for name, data := range map[string][]byte{"index.json": index, "oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			panic(err)
		}
	}
	return top.Digest
}
