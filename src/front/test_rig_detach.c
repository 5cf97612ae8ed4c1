/* Linked to a test of the front: its phones speak TLS, and stay with tls.park = detach. */
extern const char *const rig_tls_park;
const char *const rig_tls_park = "detach";
