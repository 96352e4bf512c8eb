// SPDX-License-Identifier: Apache-2.0

package render

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// gracePeriod is what a pod gets to stop, in seconds. The instance itself goes over to an immediate shutdown long
// before.
const gracePeriod = 30

// Names of the volumes in a pod.
const (
	volumeData    = "data"
	volumeWAL     = "wal"
	volumeManager = "manager"
	volumeSockets = "sockets"
	volumeTmp     = "tmp"
	volumeShm     = "shm"
	volumeTLS     = "tls"
	volumeConfig  = "config"
	volumeSuper   = "superuser"
	volumeApp     = "app"
)

// template is what a pod is made from, as far as the user decides it. A pod whose template differs is replaced. It is
// a list of inputs and not the rendered pod, so that a new operator that renders pods differently replaces none.
type template struct {
	Image             string
	User              int64
	Resources         corev1.ResourceRequirements
	NodeSelector      map[string]string
	Tolerations       []corev1.Toleration
	AntiAffinity      string
	TopologyKey       string
	WAL               bool
	SuperuserSecret   string
	ApplicationSecret string
	Joined            bool `json:",omitempty"`
}

// Template is the hash of a node's pod template.
func Template(c *spec.Cluster, n spec.Node) string {
	return hash(template{
		Image: n.Image, User: c.EngineUser, Resources: n.Resources, NodeSelector: n.NodeSelector, Tolerations: n.Tolerations,
		AntiAffinity: c.AntiAffinity, TopologyKey: c.TopologyKey, WAL: n.WAL != nil,
		SuperuserSecret: c.SuperuserSecret, ApplicationSecret: c.ApplicationSecret,
		Joined: n.Joined,
	})
}

// Pod is the pod of an instance; secrets is the version of the Secrets that it mounts.
func Pod(c *spec.Cluster, n spec.Node, instance string, op Operator, secrets string) *corev1ac.PodApplyConfiguration {
	labels := maps.Clone(naming.NodeLabels(c.Name, n.Role, n.Name))
	labels[naming.LabelInstanceRole] = naming.InstancePrimary
	s := corev1ac.PodSpec().
		WithServiceAccountName(naming.ServiceAccount(c.Name)).
		WithTerminationGracePeriodSeconds(gracePeriod).
		WithEnableServiceLinks(false).
		WithSecurityContext(podSecurity(c.EngineUser)).
		WithNodeSelector(n.NodeSelector).
		// The instance tells at once whether its server accepts connections; a probe would learn of it up to a second later.
		WithReadinessGates(corev1ac.PodReadinessGate().WithConditionType(naming.ConditionAccepting)).
		WithVolumes(volumes(c, n, instance)...).
		WithContainers(database(c, n))
	for i := range c.PullSecrets {
		s.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(c.PullSecrets[i].Name))
	}
	for i := range n.Tolerations {
		s.WithTolerations(toleration(n.Tolerations[i]))
	}
	if a := affinity(c, n); a != nil {
		s.WithAffinity(a)
	}
	s.WithInitContainers(initContainer(op.Image, c.PullPolicy))
	annotations := map[string]string{
		naming.AnnotationTemplate: Template(c, n), naming.AnnotationClusterUID: c.UID, naming.AnnotationNudge: secrets,
	}
	if c.Restart.Asks(n.Name) {
		annotations[naming.AnnotationRestartedFor] = c.Restart.ID
	}
	return corev1ac.Pod(instance, c.Namespace).
		WithLabels(labels).
		WithAnnotations(annotations).
		WithOwnerReferences(owner(c)).
		WithSpec(s)
}

func initContainer(image string, pull corev1.PullPolicy) *corev1ac.ContainerApplyConfiguration {
	return corev1ac.Container().WithName(naming.ContainerManager).WithImage(image).
		WithImagePullPolicy(pull).
		WithCommand("/antdb-instance", instanceapi.CommandCopy, naming.PathManager+"/antdb-instance").
		WithSecurityContext(containerSecurity()).
		WithVolumeMounts(mount(volumeManager, naming.PathManager, false))
}

func database(c *spec.Cluster, n spec.Node) *corev1ac.ContainerApplyConfiguration {
	d := corev1ac.Container().WithName(naming.ContainerDatabase).WithImage(n.Image).
		WithImagePullPolicy(c.PullPolicy).
		WithCommand(naming.PathManager+"/antdb-instance", instanceapi.CommandRun).
		WithEnv(environment(c, n)...).
		WithPorts(
			port("postgresql", naming.PortSQL), port("instance", naming.PortInstance), port("metrics", naming.PortMetrics)).
		WithSecurityContext(containerSecurity()).
		WithLivenessProbe(liveness()).
		WithVolumeMounts(
			mount(volumeData, naming.PathVolume, false), mount(volumeManager, naming.PathManager, true),
			mount(volumeSockets, naming.PathSockets, false), mount(volumeTmp, "/tmp", false),
			mount(volumeShm, "/dev/shm", false), mount(volumeTLS, naming.PathCertificate, true),
			mount(volumeConfig, naming.PathConfig, true), mount(volumeSuper, naming.PathSuperuser, true))
	if n.WAL != nil {
		d.WithVolumeMounts(mount(volumeWAL, naming.PathWALVolume, false))
	}
	if c.Bootstrap != nil {
		d.WithVolumeMounts(mount(volumeApp, naming.PathApplication, true))
	}
	r := corev1ac.ResourceRequirements()
	if n.Resources.Requests != nil {
		r.WithRequests(n.Resources.Requests)
	}
	if n.Resources.Limits != nil {
		r.WithLimits(n.Resources.Limits)
	}
	return d.WithResources(r)
}

func environment(c *spec.Cluster, n spec.Node) []*corev1ac.EnvVarApplyConfiguration {
	value := func(name, v string) *corev1ac.EnvVarApplyConfiguration {
		return corev1ac.EnvVar().WithName(name).WithValue(v)
	}
	field := func(name, path string) *corev1ac.EnvVarApplyConfiguration {
		return corev1ac.EnvVar().WithName(name).WithValueFrom(corev1ac.EnvVarSource().
			WithFieldRef(corev1ac.ObjectFieldSelector().WithAPIVersion("v1").WithFieldPath(path)))
	}
	env := []*corev1ac.EnvVarApplyConfiguration{
		value(instanceapi.EnvCluster, c.Name), value(instanceapi.EnvClusterUID, c.UID),
		value(instanceapi.EnvNode, n.Name), value(instanceapi.EnvRole, string(n.Role)),
		value(instanceapi.EnvWALVolume, strconv.FormatBool(n.WAL != nil)),
		field(instanceapi.EnvPodName, "metadata.name"), field(instanceapi.EnvNamespace, "metadata.namespace"),
	}
	if n.Joined {
		env = append(env, value(instanceapi.EnvJoin, "true"))
	}
	if c.Bootstrap != nil {
		env = append(env, value(instanceapi.EnvDatabase, c.Bootstrap.Database), value(instanceapi.EnvOwner, c.Bootstrap.Owner))
	}
	return env
}

func volumes(c *spec.Cluster, n spec.Node, instance string) []*corev1ac.VolumeApplyConfiguration {
	secret := func(name, from string) *corev1ac.VolumeApplyConfiguration {
		return corev1ac.Volume().WithName(name).WithSecret(corev1ac.SecretVolumeSource().WithSecretName(from).WithDefaultMode(0o440))
	}
	empty := func(name string, medium corev1.StorageMedium) *corev1ac.VolumeApplyConfiguration {
		source := corev1ac.EmptyDirVolumeSource()
		if medium != "" {
			source.WithMedium(medium)
		}
		return corev1ac.Volume().WithName(name).WithEmptyDir(source)
	}
	out := []*corev1ac.VolumeApplyConfiguration{
		empty(volumeManager, ""), empty(volumeSockets, ""), empty(volumeTmp, ""),
		// The engine keeps dynamic shared memory here; the runtime's default of 64 MiB is too little for a database.
		empty(volumeShm, corev1.StorageMediumMemory),
		secret(volumeTLS, naming.InstancesTLSSecret(c.Name)),
		secret(volumeSuper, c.SuperuserSecret),
		corev1ac.Volume().WithName(volumeConfig).WithConfigMap(corev1ac.ConfigMapVolumeSource().
			WithName(naming.ConfigMap(c.Name)).WithOptional(true).WithDefaultMode(0o440)),
	}
	kinds := map[string]string{naming.VolumeData: volumeData, naming.VolumeWAL: volumeWAL}
	for _, v := range Volumes(n, instance) {
		out = append(out, corev1ac.Volume().WithName(kinds[v.Kind]).WithPersistentVolumeClaim(
			corev1ac.PersistentVolumeClaimVolumeSource().WithClaimName(v.Name)))
	}
	if c.Bootstrap != nil {
		out = append(out, secret(volumeApp, c.ApplicationSecret))
	}
	return out
}

// podSecurity fits the Pod Security Standard "restricted". OnRootMismatch keeps the kubelet from making the data
// directory group-writable at each start, which the server refuses.
func podSecurity(user int64) *corev1ac.PodSecurityContextApplyConfiguration {
	return corev1ac.PodSecurityContext().
		WithRunAsNonRoot(true).WithRunAsUser(user).WithRunAsGroup(user).WithFSGroup(user).
		WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch).
		WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
}

func containerSecurity() *corev1ac.SecurityContextApplyConfiguration {
	return corev1ac.SecurityContext().WithAllowPrivilegeEscalation(false).WithReadOnlyRootFilesystem(true).
		WithPrivileged(false).WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))
}

// liveness asks whether the instance manager answers, and is patient: a database is no reason to restart a container.
func liveness() *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(instanceapi.PathHealth).WithPort(intstr.FromString("instance")).WithScheme(corev1.URISchemeHTTPS)).
		WithPeriodSeconds(10).WithTimeoutSeconds(5).WithFailureThreshold(6)
}

func port(name string, number int32) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(number).WithProtocol(corev1.ProtocolTCP)
}

func mount(name, path string, readOnly bool) *corev1ac.VolumeMountApplyConfiguration {
	m := corev1ac.VolumeMount().WithName(name).WithMountPath(path)
	if readOnly {
		m.WithReadOnly(true)
	}
	return m
}

func toleration(t corev1.Toleration) *corev1ac.TolerationApplyConfiguration {
	out := corev1ac.Toleration().WithKey(t.Key).WithValue(t.Value)
	if t.Operator != "" {
		out.WithOperator(t.Operator)
	}
	if t.Effect != "" {
		out.WithEffect(t.Effect)
	}
	if t.TolerationSeconds != nil {
		out.WithTolerationSeconds(*t.TolerationSeconds)
	}
	return out
}

// affinity keeps pods of one role on different hosts.
func affinity(c *spec.Cluster, n spec.Node) *corev1ac.AffinityApplyConfiguration {
	term := corev1ac.PodAffinityTerm().WithTopologyKey(c.TopologyKey).
		WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(naming.RoleSelector(c.Name, n.Role)))
	anti := corev1ac.PodAntiAffinity()
	switch c.AntiAffinity {
	case "required":
		anti.WithRequiredDuringSchedulingIgnoredDuringExecution(term)
	case "preferred":
		anti.WithPreferredDuringSchedulingIgnoredDuringExecution(
			corev1ac.WeightedPodAffinityTerm().WithWeight(100).WithPodAffinityTerm(term))
	default:
		return nil
	}
	return corev1ac.Affinity().WithPodAntiAffinity(anti)
}
