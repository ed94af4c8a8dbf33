/* cleanup: what a scene leaves at the server is removed when it is over. */
#ifndef CONFORMANCE_CLEANUP_H
#define CONFORMANCE_CLEANUP_H

struct scene;

/* Remove retained messages and sessions that were noted by scene_leave_...(). Says nothing about
 * the server: what cannot be removed stays. */
void cleanup_run(struct scene *s);
#endif
