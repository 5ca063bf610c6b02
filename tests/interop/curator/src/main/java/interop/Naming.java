package interop;

import java.util.Collections;
import java.util.TreeSet;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.UriSpec;
import org.apache.curator.x.discovery.details.JsonInstanceSerializer;

/** An instance that is registered, and those that are found. */
final class Naming {
    private final CuratorFramework client;
    private ServiceDiscovery<Object> discovery;

    Naming(CuratorFramework client) {
        this.client = client;
    }

    /** In the format {@code compatible}, or in the other; the payload is a map with a zone. */
    void register(String format, String base, String name, String id, String zone) throws Exception {
        discovery = discovery(base, format.equals("compatible"));
        discovery.registerService(ServiceInstance.<Object>builder()
                .name(name)
                .id(id)
                .address("10.0.0.1")
                .port(8080)
                .payload(Collections.singletonMap("zone", zone))
                .uriSpec(new UriSpec("{scheme}://{address}:{port}"))
                .build());
    }

    void unregister() throws Exception {
        discovery.close();
    }

    /** {@code ID=URI;PAYLOAD;ENABLED} for each instance. */
    String resolve(String base, String name) throws Exception {
        try (ServiceDiscovery<Object> all = discovery(base, true)) {
            TreeSet<String> found = new TreeSet<>();
            for (ServiceInstance<Object> instance : all.queryForInstances(name)) {
                found.add(instance.getId() + "=" + instance.buildUriSpec() + ";" + instance.getPayload() + ";"
                        + instance.isEnabled());
            }
            return String.join(",", found);
        }
    }

    private ServiceDiscovery<Object> discovery(String base, boolean isCompatible) throws Exception {
        ServiceDiscovery<Object> discovery = ServiceDiscoveryBuilder.builder(Object.class)
                .client(client)
                .basePath(base)
                .serializer(new JsonInstanceSerializer<>(Object.class, isCompatible))
                .build();
        discovery.start();
        return discovery;
    }
}
