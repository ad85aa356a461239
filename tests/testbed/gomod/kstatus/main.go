// Program kstatus tells how kstatus judges one object: its status, and why.
//
// The object comes as JSON or YAML on standard input, whole, as the API server gave it.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := judge(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func judge(from io.Reader, to io.Writer) error {
	object, err := parse(from)
	if err != nil {
		return err
	}
	result, err := status.Compute(object)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(to, result.Status, result.Message)
	return err
}

func parse(from io.Reader) (*unstructured.Unstructured, error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	// Through JSON, and by the object's own decoder: kstatus wants whole numbers as int64.
	text, err = yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(text)
}
