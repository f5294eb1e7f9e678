/* The network probe of the demo's machine, and the clock service that the demo runs for it.
 *
 * The probe shows whether a machine can reach the outside: production must, a drill must not. The
 * outside is the host as QEMU's user network presents it. Only a connection counts as reached: a
 * restricted user network answers with refusals of its own. So "unreachable" proves something only
 * while the host's service is running, which whoever judges the line has to see to. */
#ifndef BCDR_NETWORK_H
#define BCDR_NETWORK_H

#define DEFAULT_PROBE_PORT 7411

/* Brings the first network card up with QEMU's usual address, probes, reports, and takes over the
 * host's clock when the clock service answers. */
void network_probe(void);

/* Serves the host's time on 127.0.0.1 to one visitor after another, until killed. */
void serve_clock(int port);

#endif
