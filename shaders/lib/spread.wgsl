// Elements of one invocation, or workgroup, each, in more workgroups than may lie side by side: they lie in rows.

// The element of an invocation, or workgroup, where a row of workgroups has `across` of them; those with id.x >= across
// have none.
fn element(id: vec3u, across: u32) -> u32 {
    return id.y * across + id.x;
}
