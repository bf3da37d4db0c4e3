// The Pulumi plugin for OpenStack, put together from the parts that the official one is made of.
//
// The Terraform provider for OpenStack speaks to the cloud, Pulumi's bridge speaks to the engine, and
// tokens.json says which Terraform type is which Pulumi type. Programs need no schema from here: the
// Python SDK brings the types, and `-table` prints this side of them so that a test can hold both together.
package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-provider-openstack/terraform-provider-openstack/v3/openstack"
)

// Version of the official plugin that this one stands in for; set by the build.
var Version = "0.0.0"

//go:embed tokens.json
var tokensJSON []byte

// renamed holds the fields whose Pulumi name is not the bridge's own rendering of the Terraform name.
var renamed = map[string]map[string]string{
	"openstack_networking_subnet_v2":   {"allocation_pool": "allocationPools"},
	"openstack_orchestration_stack_v1": {"outputs": "StackOutputs"},
}

func provider() tfbridge.ProviderInfo {
	var table struct {
		Resources map[string]tokens.Type         `json:"resources"`
		Functions map[string]tokens.ModuleMember `json:"functions"`
	}
	if err := json.Unmarshal(tokensJSON, &table); err != nil {
		fail(err)
	}
	info := tfbridge.ProviderInfo{
		P:            shimv2.NewProvider(openstack.Provider()),
		Name:         "openstack",
		Version:      Version,
		GitHubOrg:    "terraform-provider-openstack",
		Resources:    map[string]*tfbridge.ResourceInfo{},
		DataSources:  map[string]*tfbridge.DataSourceInfo{},
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
	}
	for name, token := range table.Resources {
		info.Resources[name] = &tfbridge.ResourceInfo{Tok: token, Fields: fields(name)}
	}
	for name, token := range table.Functions {
		info.DataSources[name] = &tfbridge.DataSourceInfo{Tok: token}
	}
	info.SetAutonaming(255, "-")
	return info
}

func fields(resource string) map[string]*tfbridge.SchemaInfo {
	if len(renamed[resource]) == 0 {
		return nil
	}
	held := map[string]*tfbridge.SchemaInfo{}
	for field, name := range renamed[resource] {
		held[field] = &tfbridge.SchemaInfo{Name: name}
	}
	return held
}

// property is one field of a type as a program writes it. Laws between fields are in Terraform's names, and of the
// first level only: deeper ones name a place in a list.
type property struct {
	Terraform     string              `json:"terraform"`
	Required      bool                `json:"required,omitempty"`
	Input         bool                `json:"input,omitempty"`
	Object        map[string]property `json:"object,omitempty"`
	RequiredWith  []string            `json:"requiredWith,omitempty"`
	ConflictsWith []string            `json:"conflictsWith,omitempty"`
	ExactlyOneOf  []string            `json:"exactlyOneOf,omitempty"`
	AtLeastOneOf  []string            `json:"atLeastOneOf,omitempty"`
}

// properties maps a schema to Pulumi's names, objects included; as an input a field must be required or optional.
func properties(schema shim.SchemaMap, infos map[string]*tfbridge.SchemaInfo) map[string]property {
	held := map[string]property{}
	schema.Range(func(name string, field shim.Schema) bool {
		one := property{
			Terraform: name,
			Required:  field.Required(),
			Input:     field.Required() || field.Optional(),
		}
		if object, ok := field.Elem().(shim.Resource); ok {
			var inner map[string]*tfbridge.SchemaInfo
			if info := infos[name]; info != nil && info.Elem != nil {
				inner = info.Elem.Fields
			}
			one.Object = properties(object.Schema(), inner)
		}
		if field.Removed() == "" {
			held[tfbridge.TerraformToPulumiNameV2(name, schema, infos)] = one
		}
		return true
	})
	return held
}

// printTable writes every type and its properties as this plugin maps them, as JSON.
func printTable(info tfbridge.ProviderInfo) {
	out := map[string]map[string]map[string]property{"resources": {}, "functions": {}}
	var unknown []string
	laws := openstack.Provider()
	for terraform, resource := range info.Resources {
		schema, ok := info.P.ResourcesMap().GetOk(terraform)
		if !ok {
			unknown = append(unknown, terraform)
			continue
		}
		held := properties(schema.Schema(), resource.Fields)
		for name, one := range held {
			// the bridge does not pass on all of them
			if field := laws.ResourcesMap[terraform].Schema[one.Terraform]; field != nil {
				one.RequiredWith, one.ConflictsWith = field.RequiredWith, field.ConflictsWith
				one.ExactlyOneOf, one.AtLeastOneOf = field.ExactlyOneOf, field.AtLeastOneOf
				held[name] = one
			}
		}
		out["resources"][string(resource.Tok)] = held
	}
	for name, function := range info.DataSources {
		schema, ok := info.P.DataSourcesMap().GetOk(name)
		if !ok {
			unknown = append(unknown, name)
			continue
		}
		out["functions"][string(function.Tok)] = properties(schema.Schema(), function.Fields)
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		fail(fmt.Errorf("tokens.json names types that the Terraform provider lacks: %v", unknown))
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}

func main() {
	info := provider()
	if len(os.Args) == 2 && os.Args[1] == "-table" {
		printTable(info)
		return
	}
	tfbridge.Main("openstack", Version, info, []byte(fmt.Sprintf(`{"name":"openstack","version":%q}`, Version)))
}
