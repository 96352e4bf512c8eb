# antdb-operator. `make help` lists the targets; two of them are all that a fresh machine needs: demo and test.
#
#   ENGINE_HOME=DIR   use the AntDB installed in DIR (with bin, lib, share) in place of the stand-in engine
#   CLUSTER=current   use the cluster of the current kubeconfig in place of the sandbox; it must be able to pull
#                     OPERATOR_IMAGE and ENGINE_IMAGE
SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help
.PHONY: help build gen check-gen fmt lint unit unit-operator unit-standin api e2e faults test demo demo-down sandbox sandbox-down images image deploy undeploy bench sandbox-life tools host-packages cli krew

CLUSTER ?= sandbox
HOSTS ?= 2
ENGINE_HOME ?=
OPERATOR_IMAGE ?= localhost/antdb-operator:dev
ENGINE_IMAGE ?= localhost/antdb:$(if $(ENGINE_HOME),dev,standin)
ENGINE := $(if $(ENGINE_HOME),antdb,standin)
IMAGES := bin/images
SANDBOX := bin/sandbox
GO_SOURCES = $(shell find api cmd internal -name '*.go' -not -name '*_test.go') go.mod go.sum
# The plugin carries the installation along.
INSTALLATION = deploy/deploy.go deploy/operator.yaml deploy/policy.yaml $(wildcard deploy/crds/*.yaml deploy/rbac/*.yaml)
SANDBOX_SOURCES = $(shell find sandbox -type f -not -path 'sandbox/standin/*' -not -name '*_test.go')
STANDIN_SOURCES = $(shell find sandbox/standin -type f -not -name '*_test.go')
export PATH := $(CURDIR)/bin:$(if $(filter sandbox,$(CLUSTER)),$(CURDIR)/.sandbox/bin:)$(PATH)
ifeq ($(CLUSTER),sandbox)
export KUBECONFIG := $(CURDIR)/.sandbox/kubeconfig
endif
export OPERATOR_IMAGE ENGINE_IMAGE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: bin/antdb-operator bin/antdb-instance ## build the operator and the instance manager

bin/antdb-operator bin/antdb-instance: bin/%: $(GO_SOURCES)
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@ ./cmd/$*

# The plugin is one static file for each platform. CLI_PLATFORMS="linux/arm64 …" builds others too, into bin/dist.
CLI_PLATFORMS ?=
override CLI_PLATFORMS := $(if $(filter all,$(CLI_PLATFORMS)),linux/amd64 linux/arm64 darwin/amd64 darwin/arm64,$(CLI_PLATFORMS))
# Krew takes versions of the form v1.2.3 only.
CLI_VERSION ?= $(shell git describe --tags --dirty 2>/dev/null || echo v0.0.0-g$$(git describe --always --dirty 2>/dev/null || echo dev))
CLI_BUILD = CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(CLI_VERSION)'

cli: bin/kubectl-antdb $(foreach p,$(CLI_PLATFORMS),bin/dist/kubectl-antdb-$(subst /,-,$p)) ## build kubectl antdb for this machine; CLI_PLATFORMS=all for linux and darwin

bin/kubectl-antdb: $(GO_SOURCES) $(INSTALLATION)
	$(CLI_BUILD) -o $@ ./cmd/kubectl-antdb

bin/dist/kubectl-antdb-%: $(GO_SOURCES) $(INSTALLATION)
	GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) $(CLI_BUILD) -o $@ ./cmd/kubectl-antdb

# Archives of the plugin and its manifest for Krew. KREW_URL is where the archives will be found.
KREW_URL ?= https://github.com/antdb-operator/antdb-operator/releases/download/$(CLI_VERSION)
KREW_PLATFORMS := linux-amd64 linux-arm64 darwin-amd64 darwin-arm64
KREW_ARCHIVES := $(KREW_PLATFORMS:%=bin/dist/kubectl-antdb-%.tar.gz)
krew: $(KREW_ARCHIVES) ## archives of kubectl antdb for all platforms, and its manifest for Krew with their checksums
	@{ sed '/^#/d; s#VERSION#$(CLI_VERSION)#' deploy/krew/antdb.yaml; for p in $(KREW_PLATFORMS); do \
	printf '  - selector: {matchLabels: {os: %s, arch: %s}}\n    uri: %s\n    sha256: %s\n    bin: kubectl-antdb\n    files: [{from: kubectl-antdb, to: .}, {from: LICENSE, to: .}]\n' \
	"$${p%-*}" "$${p#*-}" "$(KREW_URL)/kubectl-antdb-$$p.tar.gz" "$$(sha256sum bin/dist/kubectl-antdb-$$p.tar.gz | cut -d' ' -f1)"; done; } >bin/dist/antdb.yaml
	@ls -l bin/dist/antdb.yaml

# Equal input gives an equal archive, so that its checksum can be checked.
.PRECIOUS: bin/dist/kubectl-antdb-%
$(KREW_ARCHIVES): bin/dist/kubectl-antdb-%.tar.gz: bin/dist/kubectl-antdb-% LICENSE
	tar -c --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --transform 's#.*/kubectl-antdb-.*#kubectl-antdb#' $^ | gzip -n >$@

bin/sandbox bin/mkimage: bin/%: $(SANDBOX_SOURCES)
	cd sandbox && CGO_ENABLED=0 go build -trimpath -o ../$@ ./cmd/$*

bin/standin: $(STANDIN_SOURCES) | host-packages
	cd sandbox/standin && go build -trimpath -ldflags '-s -w' -o ../../$@ .

bin/controller-gen: tools/go.mod
	go build -modfile=tools/go.mod -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen
bin/golangci-lint: tools/go.mod
	go build -modfile=tools/go.mod -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
bin/gotestsum: tools/go.mod
	go build -modfile=tools/go.mod -o $@ gotest.tools/gotestsum
tools: bin/controller-gen bin/golangci-lint bin/gotestsum

gen: bin/controller-gen ## write what is generated: deepcopy, CRD, RBAC, reference of kubectl antdb
	bin/controller-gen rbac:roleName=antdb-operator crd object paths=./api/... paths=./internal/controller/... \
		paths=./cmd/antdb-operator/... output:crd:dir=deploy/crds output:rbac:dir=deploy/rbac
	go run ./internal/cli/reference docs/reference/kubectl-antdb

check-gen: gen ## fail if generated code is stale
	@git add -N docs/reference && git diff --exit-code -- api deploy/crds deploy/rbac docs/reference || { echo 'generated code is stale: run make gen and commit'; exit 1; }

fmt: ## format the code
	gofmt -w api cmd deploy internal test tools sandbox

lint: bin/golangci-lint ## vet, lint and check formatting, in every module
	@test -z "$$(gofmt -l api cmd deploy internal test tools sandbox)" || { gofmt -l api cmd deploy internal test tools sandbox; exit 1; }
	bin/golangci-lint run ./...
	cd sandbox && go vet ./... && cd standin && go vet ./...

# The stand-in's tests wait most of the time: they share the processors with the others.
unit: bin/gotestsum host-packages ## pure tables, simulation, import rules; the sandbox's own and the stand-in's
	@$(MAKE) --no-print-directory --output-sync=target -j2 unit-operator unit-standin

unit-operator:
	bin/gotestsum --format pkgname -- -timeout 900s ./api/... ./cmd/... ./deploy/... ./internal/...
	cd sandbox && ../bin/gotestsum --format pkgname -- -timeout 900s ./...
	cd sandbox/kubernetes && CGO_ENABLED=0 ../../bin/gotestsum --format pkgname -- -timeout 900s -trimpath ./provisioner

unit-standin:
	cd sandbox/standin && ../../bin/gotestsum --format pkgname -- -timeout 900s ./...

api: bin/gotestsum bin/sandbox ## rules of the API against a real API server
	$(SANDBOX) build
	KUBEBUILDER_ASSETS=$(CURDIR)/.sandbox/bin bin/gotestsum --format pkgname -- -timeout 900s ./test/api/...

# An engine image brings a data directory along, of which the instance manager makes that of a node (decision 0021). The
# options are those of internal/instance/engine.
INITDB_OPTIONS := -U postgres --no-sync --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C --data-checksums
TEMPLATE := /opt/antdb/template
MADE_TEMPLATE = --env ANTDB_TEMPLATE=$(TEMPLATE) --made '$(TEMPLATE)=initdb -D $(TEMPLATE) --nodename template $(INITDB_OPTIONS) >/dev/null \
	&& rm $(TEMPLATE)/pg_wal/0* && echo $(INITDB_OPTIONS) >$(TEMPLATE)/initdb.options && chmod -R a+rX $(TEMPLATE)'

images: $(IMAGES)/operator.tar $(IMAGES)/$(ENGINE).tar ## build the images that the sandbox loads

image: $(IMAGES)/antdb.tar ## pack the AntDB installed in ENGINE_HOME into an image
	@ls -l $<

$(IMAGES)/operator.tar: bin/antdb-operator bin/antdb-instance bin/mkimage
	@mkdir -p $(@D)
	bin/mkimage -o $@ -t $(OPERATOR_IMAGE) --user 65532:65532 --entrypoint /antdb-operator \
		--add bin/antdb-operator:/antdb-operator:0755 --add bin/antdb-instance:/antdb-instance:0755

$(IMAGES)/antdb.tar: bin/mkimage .FORCE
	@test -x '$(ENGINE_HOME)/bin/postgres' || { echo 'ENGINE_HOME=DIR: DIR must hold an installed AntDB (bin/postgres, lib, share)'; exit 1; }
	@mkdir -p $(@D)
	bin/mkimage -o $@ -t localhost/antdb:dev --debian bookworm --include libssl3,libreadline8,zlib1g,libxml2,libicu72 \
		--passwd postgres:26:26:/var/lib/antdb --user 26:26 --exclude-path '/opt/antdb/*.a' --exclude-path '/opt/antdb/include' \
		--dir '$(ENGINE_HOME):/opt/antdb' --env PATH=/opt/antdb/bin:/usr/bin:/bin --env LD_LIBRARY_PATH=/opt/antdb/lib $(MADE_TEMPLATE)

# The stand-in: PostgreSQL 15 without its just-in-time compiler and without Perl, and one binary under the names that
# the operator calls.
STANDIN_NAMES := initdb postgres pg_ctl pg_basebackup pg_rewind pg_dump pg_dumpall
STANDIN_WITHOUT := /usr/lib/*/libLLVM* /usr/lib/llvm-* /usr/lib/*/libz3* /usr/lib/postgresql/15/lib/bitcode* \
	/usr/lib/postgresql/15/lib/llvmjit* /var/lib/postgresql/* /etc/postgresql/* /usr/share/perl/* /usr/lib/*/perl/* \
	/usr/lib/*/perl-base/* /usr/lib/*/libperl* /usr/bin/perl* /usr/share/i18n/* /usr/lib/*/gconv/*

$(IMAGES)/standin.tar: bin/standin bin/mkimage
	@mkdir -p $(@D) && rm -rf bin/standin-home && mkdir -p bin/standin-home && cp bin/standin bin/standin-home/standin
	@for n in $(STANDIN_NAMES); do ln -s standin bin/standin-home/$$n; done
	bin/mkimage -o $@ -t localhost/antdb:standin --debian bookworm --include postgresql-15 --passwd postgres:26:26:/var/lib/antdb \
		--user 26:26 $(foreach p,$(STANDIN_WITHOUT),--exclude-path '$p') --dir bin/standin-home:/opt/antdb/bin \
		--env PATH=/opt/antdb/bin:/usr/lib/postgresql/15/bin:/usr/bin:/bin --env LANG=C.UTF-8 $(MADE_TEMPLATE)

.FORCE:

# What the targets need of Debian: a C compiler for the stand-in's parser, PostgreSQL for its tests, psql for people.
host-packages:
	@need=(); command -v gcc >/dev/null || need+=(gcc libc6-dev); command -v psql >/dev/null || need+=(postgresql-client); \
	test -x /usr/lib/postgresql/15/bin/postgres || need+=(postgresql-15); test $${#need[@]} = 0 || { echo "installing $${need[*]}" >&2; \
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$${need[@]}"; } >/dev/null

sandbox: $(if $(filter sandbox,$(CLUSTER)),bin/sandbox images) host-packages ## start a real Kubernetes on this machine and load the images
ifeq ($(CLUSTER),sandbox)
	$(SANDBOX) up --hosts $(HOSTS)
	$(SANDBOX) load $(IMAGES)/operator.tar $(IMAGES)/$(ENGINE).tar
endif

sandbox-down: bin/sandbox ## stop it and remove all that it left
	$(SANDBOX) down --purge

deploy: sandbox ## install the operator
	OPERATOR_REVISION=$$(sha256sum $(IMAGES)/operator.tar 2>/dev/null | cut -c1-12) deploy/install.sh

undeploy: ## remove the operator, its CRDs and with them every cluster
	kubectl delete --ignore-not-found -f deploy/crds -f deploy/policy.yaml -f deploy/rbac -f deploy/operator.yaml

demo: deploy ## from nothing to a running cluster and the walk-through, on the stand-in or on ENGINE_HOME
	deploy/demo.sh

demo-down: ## remove the demo and the sandbox
ifeq ($(CLUSTER),sandbox)
	$(MAKE) --no-print-directory sandbox-down
else
	kubectl delete namespace demo --ignore-not-found
endif

e2e: deploy bin/gotestsum bin/kubectl-antdb ## the stories, on the stand-in or on ENGINE_HOME
	PATH=$(CURDIR)/bin:$$PATH ANTDB_E2E=1 SANDBOX=$(if $(filter sandbox,$(CLUSTER)),$(CURDIR)/$(SANDBOX)) ENGINE=$(ENGINE) E2E_IMAGE=$(ENGINE_IMAGE) \
		bin/gotestsum --format testname -- -count=1 -timeout 75m ./test/e2e/...

faults: deploy bin/gotestsum ## operations disturbed at every step of their journals; not part of make test
	ANTDB_E2E=1 E2E_STORIES='disturbed/*.txtar' SANDBOX=$(if $(filter sandbox,$(CLUSTER)),$(CURDIR)/$(SANDBOX)) ENGINE=$(ENGINE) E2E_IMAGE=$(ENGINE_IMAGE) \
		bin/gotestsum --format testname -- -count=1 -timeout 120m -run TestStories ./test/e2e

# The floor's servers run as user postgres, who must be able to read the engine.
bench: deploy ## measure, as ratios in one run, and write docs/benchmarks.md; BENCH=FLAGS for a part of it
	go build -o bin/bench ./test/bench
	home=$$(mktemp -d) && trap 'rm -rf '$$home EXIT && chmod 755 $$home && \
	$(if $(ENGINE_HOME),ln -s '$(ENGINE_HOME)'/* $$home/,cp -a bin/standin-home $$home/bin) && \
	bin/bench -engine $(if $(ENGINE_HOME),AntDB,stand-in) -engine-home $$home -image $(ENGINE_IMAGE) -assets .sandbox/bin $(BENCH)

sandbox-life: bin/gotestsum bin/sandbox ## the sandbox's own life, from start to leaving nothing; it needs the machine's one place
ifeq ($(CLUSTER),sandbox)
	@if $(SANDBOX) status >/dev/null 2>&1; then echo 'left out: a sandbox is up here (make sandbox-down first)'; \
	else cd sandbox && SANDBOX_E2E=1 ../bin/gotestsum --format testname -- -count=1 -timeout 40m ./e2e; fi
endif

test: unit api sandbox-life e2e ## everything
