// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/roles"
)

// shop is demo with an application, and roles that are managed.
func shop(all ...v1alpha1.ManagedRole) *v1alpha1.AntDBCluster {
	c := demo()
	c.Spec.Bootstrap = &v1alpha1.BootstrapSpec{Database: "shop", Owner: "orders"}
	if len(all) > 0 {
		c.Spec.Managed = &v1alpha1.ManagedSpec{Roles: all}
	}
	for _, r := range all {
		c.Status.ManagedRoles = append(c.Status.ManagedRoles, v1alpha1.ManagedRoleStatus{Name: r.Name, State: v1alpha1.RoleReconciled, SecretVersion: "1"})
	}
	return c
}

func passwordFrom(secret string) *v1alpha1.SecretReference {
	return &v1alpha1.SecretReference{Name: secret}
}

func (d *desk) secret(name string) *corev1.Secret {
	d.t.Helper()
	s := &corev1.Secret{}
	if err := d.world.Get(context.Background(), client.ObjectKey{Namespace: "prod", Name: name}, s); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		d.t.Error(err)
	}
	return s
}

func (d *desk) managed() []v1alpha1.ManagedRole {
	d.t.Helper()
	c := &v1alpha1.AntDBCluster{}
	if err := d.world.Get(d.t.Context(), client.ObjectKey{Namespace: "prod", Name: "demo"}, c); err != nil {
		d.t.Fatal(err)
	}
	if c.Spec.Managed == nil {
		return nil
	}
	return c.Spec.Managed.Roles
}

// role tells how far a role is, as the operator does, with the Secret as it is then.
func (d *desk) role(name, secret string, state v1alpha1.ManagedRoleState, message string) {
	s := v1alpha1.ManagedRoleStatus{Name: name, State: state, Message: message}
	if found := d.secret(secret); found != nil {
		s.SecretVersion = found.ResourceVersion
	}
	d.report(func(c *v1alpha1.AntDBCluster) {
		c.Status.ManagedRoles = slices.DeleteFunc(c.Status.ManagedRoles, func(r v1alpha1.ManagedRoleStatus) bool { return r.Name == name })
		c.Status.ManagedRoles = append(c.Status.ManagedRoles, s)
	})
}

// login is a Secret with a password.
func login(name, user string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: name}, Type: corev1.SecretTypeBasicAuth,
		Data: map[string][]byte{"username": []byte(user), "password": []byte("old"), "uri": []byte("postgresql://" + user + ":old@demo.prod.svc:5432/shop")},
	}
}

func TestUserCreateMakesASecretAndAnEntryAndWaits(t *testing.T) {
	d := sit(t, shop(v1alpha1.ManagedRole{Name: "readers"}))
	d.generations = true
	d.watched = func(int) {
		d.role("anna", "demo-user-anna", v1alpha1.RolePending, "being made as described")
		d.role("anna", "demo-user-anna", v1alpha1.RoleReconciled, "")
	}
	d.want(0, []string{"Secret demo-user-anna made", "role anna added to spec.managed.roles of cluster demo", "it is on all nodes", "kubectl get secret demo-user-anna"},
		"user", "create", "demo", "anna", "--in-role", "readers", "--connection-limit", "0", "--createdb", "--comment", "from sales")
	s := d.secret("demo-user-anna")
	if s == nil || s.Type != corev1.SecretTypeBasicAuth || s.Labels["antdb.io/cluster"] != "demo" || len(s.OwnerReferences) != 1 || s.OwnerReferences[0].Name != "demo" {
		t.Fatalf("the Secret is %+v", s)
	}
	password := string(s.Data["password"])
	if len(password) < 16 || strings.Contains(d.out.text()+d.err.String(), password) {
		t.Errorf("the password has %d bytes, or was printed", len(password))
	}
	want := map[string]string{"username": "anna", "host": "demo.prod.svc", "port": "5432", "dbname": "shop", "uri": "postgresql://anna:" + password + "@demo.prod.svc:5432/shop"}
	for key, value := range want {
		if string(s.Data[key]) != value {
			t.Errorf("%s is %q, not %q", key, s.Data[key], value)
		}
	}
	yes, none := true, int32(0)
	if diff := cmp.Diff([]v1alpha1.ManagedRole{{Name: "readers"}, {
		Name: "anna", Ensure: v1alpha1.EnsurePresent, Login: true, CreateDB: true, Comment: "from sales", Inherit: &yes, ConnectionLimit: &none,
		InRoles: []string{"readers"}, PasswordSecret: passwordFrom("demo-user-anna"),
	}}, d.managed()); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
}

func TestARoleThatIsAddedMeanwhileIsNotLost(t *testing.T) {
	d := sit(t, shop())
	tries := 0
	d.refuse = func(c *v1alpha1.AntDBCluster) error {
		if tries++; tries != 2 { // the first is a dry run
			return nil
		}
		other := &v1alpha1.AntDBCluster{}
		if err := d.world.Get(t.Context(), client.ObjectKeyFromObject(c), other); err != nil {
			return err
		}
		other.Spec.Managed = &v1alpha1.ManagedSpec{Roles: []v1alpha1.ManagedRole{{Name: "bob"}}}
		return d.world.Update(t.Context(), other)
	}
	d.want(0, []string{"user list demo"}, "user", "create", "anna", "--wait=false", "--login=false")
	if all := d.managed(); len(all) != 2 || all[0].Name != "bob" || all[1].Name != "anna" || tries != 3 {
		t.Errorf("after %d tries there are %+v", tries, all)
	}
	if s := d.secret("demo-user-anna"); s != nil {
		t.Error("a role that does not log in has a Secret")
	}
}

func TestARoleThatIsRefusedLeavesNothingBehind(t *testing.T) {
	for when, name := range map[int]string{1: "by a rule of the API", 2: "after its Secret was made"} {
		t.Run(name, func(t *testing.T) {
			d := sit(t, shop())
			tries := 0
			d.refuse = func(*v1alpha1.AntDBCluster) error {
				if tries++; tries == when {
					return apierrors.NewInvalid(schema.GroupKind{Group: "antdb.io", Kind: "AntDBCluster"}, "demo", nil)
				}
				return nil
			}
			d.want(1, []string{"is invalid"}, "user", "create", "anna")
			if s := d.secret("demo-user-anna"); s != nil || len(d.managed()) > 0 {
				t.Errorf("left behind: %v, %v", s, d.managed())
			}
		})
	}
}

func TestUserCreateTellsWhyItCannot(t *testing.T) {
	d := sit(t, shop(v1alpha1.ManagedRole{Name: "anna"}), login("demo-user-bob", "bob"))
	d.env.In = strings.NewReader("\nsecond line")
	for words, args := range map[string]string{
		"say which role":                     "user create",
		"one argument too many":              "user create demo anna bob",
		"in spec.managed.roles of cluster":   "user create demo anna",
		"there is a Secret demo-user-bob":    "user create bob",
		"the first line of standard input":   "user create carl --password-stdin",
		"is for a role that logs in":         "user create carl --password-stdin --login=false",
		`no AntDBCluster "other"`:            "user create other anna",
		"no Secret can be called":            "user create carl_",
		"--timeout 0s: allowed is more than": "user create carl --timeout 0s",
	} {
		d.want(1, []string{words}, strings.Fields(args)...)
	}
	if all := d.managed(); len(all) != 1 {
		t.Errorf("roles are %v", all)
	}
}

func TestUserCreateTakesAPasswordAndTellsWhatTheServerRefuses(t *testing.T) {
	d := sit(t, shop())
	d.env.In = strings.NewReader("open sesame\n")
	d.watched = func(int) {
		d.role("anna", "", v1alpha1.RoleFailed, `role "nobody" does not exist (SQLSTATE 42704)`)
	}
	d.want(1, []string{`role anna of cluster demo: role "nobody" does not exist`, "tries it again"}, "user", "create", "anna", "--in-role", "nobody", "--password-stdin")
	if got := string(d.secret("demo-user-anna").Data["password"]); got != "open sesame" {
		t.Errorf("the password is %q", got)
	}
}

func TestWaitingForARoleEndsInTime(t *testing.T) {
	d := sit(t, shop())
	d.watched = func(int) { d.role("anna", "", v1alpha1.RolePending, "waiting: dn2 does not serve") }
	d.want(1, []string{"is not as it is described after 300ms: Pending: waiting: dn2 does not serve", "user list demo"}, "user", "create", "anna", "--timeout", "300ms")
	ctx, interrupt := context.WithCancel(t.Context())
	d.watched = func(int) { interrupt() }
	if code := d.runIn(ctx, "user", "create", "bob"); code != 130 || !strings.Contains(d.err.String(), "the operator goes on with it") {
		t.Errorf("it ends with %d: %s", code, d.err.String())
	}
}

// people are the roles that the database of shop has.
func people(d *desk) {
	person := roles.Attributes{Login: true, Inherit: true, ConnectionLimit: -1}
	d.answers["demo-cn1-1"] = func([]string) (string, error) {
		return printed([]instanceapi.HeldRole{
			{Name: "anna", Attributes: roles.Attributes{Login: true, CreateDB: true, ConnectionLimit: 5}, MemberOf: []string{"readers"}, Password: "scram-sha-256"},
			{Name: "orders", Attributes: person, Password: "scram-sha-256"},
			{Name: "postgres", Attributes: roles.Attributes{Login: true, Superuser: true, CreateDB: true, CreateRole: true, Inherit: true, ConnectionLimit: -1}, Password: "scram-sha-256"},
			{Name: "readers", Attributes: roles.Attributes{Inherit: true, ConnectionLimit: -1}},
			{Name: "tester", Attributes: person, Password: "md5"},
		})
	}
}

func users(t *testing.T) *desk {
	t.Helper()
	c := shop(v1alpha1.ManagedRole{Name: "anna", PasswordSecret: passwordFrom("demo-user-anna")}, v1alpha1.ManagedRole{Name: "carl", Login: true}, v1alpha1.ManagedRole{Name: "readers"})
	c.Status.ManagedRoles[1] = v1alpha1.ManagedRoleStatus{Name: "carl", State: v1alpha1.RoleFailed, Message: `role "writers" does not exist (SQLSTATE 42704)`}
	d := sit(t, c, login("demo-user-anna", "anna"))
	people(d)
	d.watched = func(int) { d.role("dora", "demo-user-dora", v1alpha1.RoleReconciled, "") }
	return d
}

func TestUserListTellsWhoKeepsEachRole(t *testing.T) {
	d := users(t)
	d.want(0, []string{
		"anna      Reconciled  login, createdb, noinherit, limit 5  readers    spec.managed    demo-user-anna",
		"carl      Failed      not there                            -          spec.managed    -",
		"orders    Reconciled  login                                -          spec.bootstrap  demo-app",
		"postgres  Reconciled  login, superuser                     -          operator        demo-superuser",
		"tester    -           login                                -          -               -",
		`role "writers" does not exist`,
	}, "user", "list")
	d.want(0, []string{`"name": "anna"`, `"keptBy": "spec.managed"`, `"secret": "demo-user-anna"`, `"exists": false`}, "user", "list", "demo", "-o", "json")
	d.report(func(c *v1alpha1.AntDBCluster) {
		c.Status.Nodes[1].Instances[0].StaleCredentials = []string{"orders"}
	})
	d.want(0, []string{"orders    Pending "}, "user", "ls")
	d.want(1, []string{"no cluster with the labels \"team=b\""}, "user", "list", "-l", "team=b")
	d.report(func(c *v1alpha1.AntDBCluster) {
		for i := range c.Status.Nodes {
			c.Status.Nodes[i].Instances[0].Serving = false
		}
	})
	d.want(1, []string{"no coordinator of demo serves: kubectl antdb status demo tells why"}, "user", "list", "-A")
}

func TestRotateChangesTheSecretAndWaitsForItsVersion(t *testing.T) {
	d := sit(t, shop(v1alpha1.ManagedRole{Name: "anna", Login: true, PasswordSecret: passwordFrom("mine")}), login("mine", "anna"))
	d.watched = func(int) {
		d.report(func(*v1alpha1.AntDBCluster) {}) // the old version is not what is waited for
		d.role("anna", "mine", v1alpha1.RoleReconciled, "")
	}
	d.want(0, []string{"the Secret mine has a new password for anna", "it is in force on all nodes"}, "user", "rotate", "demo", "anna", "--show")
	s := d.secret("mine")
	password := string(s.Data["password"])
	if password == "old" || string(s.Data["uri"]) != "postgresql://anna:"+password+"@demo.prod.svc:5432/shop" || s.Labels["antdb.io/cluster"] != "demo" {
		t.Errorf("the Secret is %+v", s)
	}
	if !strings.HasSuffix(d.out.text(), "\n"+password+"\n") {
		t.Errorf("it prints %s", d.out.text())
	}
	d.want(0, nil, "user", "rotate", "anna")
	if strings.Contains(d.out.text(), string(d.secret("mine").Data["password"])) {
		t.Error("the password was printed")
	}
}

func TestRotateAsksEveryNodeForThePasswordThatIsMounted(t *testing.T) {
	for _, role := range []string{"postgres", "orders"} {
		t.Run(role, func(t *testing.T) {
			secret := map[string]string{"postgres": "demo-superuser", "orders": "demo-app"}[role]
			d := sit(t, shop(), login(secret, role))
			asked := map[string]int{}
			for _, node := range []string{"gc", "cn1", "cn2", "dn1", "dn2", "dn3"} {
				d.answers["demo-"+node+"-1"] = func(args []string) (string, error) {
					if asked[node]++; args[0] != "password" || args[1] != role || args[2] != string(d.secret(secret).Data["password"]) {
						t.Errorf("asked %q", args)
					}
					if node == "dn2" && asked[node] == 1 {
						return "", errors.New("pod is gone")
					}
					return printed(instanceapi.PasswordMatch{Matches: node != "cn2" || asked[node] > 1})
				}
			}
			d.want(0, []string{"the Secret " + secret + " has a new password for " + role, "it is in force on all nodes"}, "user", "rotate", "demo", role)
			if len(asked) != 6 || slices.Max(slices.Collect(maps.Values(asked))) != 2 {
				t.Errorf("asked %v", asked)
			}
			for _, ran := range d.ran {
				if strings.Contains(ran, string(d.secret(secret).Data["password"])) {
					t.Errorf("the password stands in a command line: %s", ran)
				}
			}
		})
	}
}

func TestRotateTellsWhereThePasswordIsNotInForce(t *testing.T) {
	d := sit(t, shop(), login("demo-app", "orders"))
	for _, node := range []string{"gc", "cn1", "cn2", "dn1", "dn2", "dn3"} {
		d.answers["demo-"+node+"-1"] = func([]string) (string, error) { return printed(instanceapi.PasswordMatch{Matches: node[0] != 'd'}) }
	}
	began := time.Now()
	d.want(1, []string{"not in force on all nodes after 100ms: dn1, dn2, dn3 have another one"}, "user", "rotate", "orders", "--timeout", "100ms")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestRotateTellsWhyItCannot(t *testing.T) {
	d := sit(t, shop(v1alpha1.ManagedRole{Name: "anna"}, v1alpha1.ManagedRole{Name: "bob", PasswordSecret: passwordFrom("bobs")}))
	for words, args := range map[string]string{
		`keeps no role "carl"`:                 "user rotate carl",
		"has no passwordSecret":                "user rotate anna",
		"the Secret bobs of role bob does not": "user rotate bob",
		"the Secret demo-app of role orders":   "user rotate orders",
		"kubectl antdb user rotate demo anna":  "user rotate",
	} {
		d.want(1, []string{words}, strings.Fields(args)...)
	}
}

func TestDropWaitsUntilTheRoleIsGoneAndThenForgetsIt(t *testing.T) {
	secret := login("demo-user-anna", "anna")
	c := shop(v1alpha1.ManagedRole{Name: "anna", Login: true, PasswordSecret: passwordFrom("demo-user-anna")}, v1alpha1.ManagedRole{Name: "bob"})
	d := sit(t, c)
	secret.OwnerReferences = []metav1.OwnerReference{{APIVersion: "antdb.io/v1alpha1", Kind: "AntDBCluster", Name: "demo", UID: c.UID}}
	d.make(secret)
	d.generations = true
	d.watched = func(int) {
		if all := d.managed(); len(all) != 2 || all[0].Ensure != v1alpha1.EnsureAbsent || all[0].PasswordSecret != nil {
			t.Errorf("while it waits the roles are %+v", all)
		}
		d.role("anna", "", v1alpha1.RoleReconciled, "")
	}
	d.want(0, []string{"it is gone from all nodes", "Secret demo-user-anna deleted"}, "user", "drop", "demo", "anna", "--yes")
	if all := d.managed(); len(all) != 1 || all[0].Name != "bob" || d.secret("demo-user-anna") != nil {
		t.Errorf("roles are %+v, the Secret is %v", all, d.secret("demo-user-anna"))
	}
}

func TestDropLeavesWhatSomebodyElseMadeAndTellsWhatStandsInTheWay(t *testing.T) {
	d := sit(t, shop(v1alpha1.ManagedRole{Name: "anna", PasswordSecret: passwordFrom("demo-user-anna")}), login("demo-user-anna", "anna"))
	d.want(1, []string{"--yes does it without asking"}, "user", "drop", "anna")
	d.want(1, []string{"kept by operator and cannot be dropped"}, "user", "drop", "postgres", "--yes")
	d.want(1, []string{"kept by spec.bootstrap and cannot be dropped"}, "user", "drop", "orders", "--yes")
	d.generations = true
	d.watched = func(int) {
		d.role("anna", "", v1alpha1.RoleFailed, `role "anna" cannot be dropped because some objects depend on it: 2 objects in database shop`)
	}
	d.want(1, []string{"2 objects in database shop", "reassign owned by anna to postgres"}, "user", "drop", "anna", "--yes")
	if all := d.managed(); len(all) != 1 || all[0].Ensure != v1alpha1.EnsureAbsent {
		t.Errorf("roles are %+v", all)
	}
	d.watched = func(int) { d.role("anna", "", v1alpha1.RoleReconciled, "") } // the last failure was one of before
	d.env.In, d.env.Interactive = strings.NewReader("y\n"), true
	d.want(0, []string{"Remove role anna from the database of cluster demo?", "it is gone"}, "user", "drop", "anna")
	if d.secret("demo-user-anna") == nil || len(d.managed()) > 0 {
		t.Errorf("the Secret is %v, roles are %v", d.secret("demo-user-anna"), d.managed())
	}
}
