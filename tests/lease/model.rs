//! The lease protocol, every way that it can go: two nodes, messages that get lost, pauses, a Redis that forgets.
//!
//! What a node decides is the code that it runs ([`Claiming`], [`Lease`]); its surroundings are modelled. A pause is
//! a node that does nothing while time goes on.

use stateright::{Checker, HasDiscoveries, Model, Property};
use std::time::Duration;
use weir::cluster::claim::{self, Claiming};
use weir::cluster::lease::{self, Lease, Standing};

const NODES: usize = 2;

/// How far it is looked.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    seconds: u8,
    claims: u8,
    restarts: u8,
    losses: u8,
    sends: u8,
}

impl Bounds {
    /// Of CI; `WEIR_TEST_SECONDS` looks further.
    fn new(losses: u8) -> Self {
        let seconds = std::env::var("WEIR_TEST_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
        Self { seconds: seconds.unwrap_or(6), claims: 1, restarts: 1, losses, sends: 1 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// As it is.
    Fenced,
    /// Those who are sent output take it from everybody.
    Unfenced,
    /// Fences are counted in Redis, and the database knows nothing of them.
    CountedInRedis,
}

#[derive(Debug, Clone, Copy)]
struct Protocol {
    variant: Variant,
    bounds: Bounds,
}

/// An answer under way, or what is still to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Call<Q, A> {
    Asked(Q, u8),
    Answered(Q, A, u8),
}

type Claim = Call<claim::Ask, claim::Answer>;
type Renewal = Call<lease::Ask, lease::Answer>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Role {
    Idle,
    Claims(Claiming, Claim),
    Owns { lease: Lease, renewal: Option<Renewal>, asked: u8 },
}

/// The owner in the order in which owners were accepted; not known to anybody in it.
type Serial = u8;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    role: Role,
    serial: Serial,
    claims_left: u8,
    sends_left: u8,
    /// Output on its way, with its fence.
    sent: Option<(u64, Serial)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Held {
    node: usize,
    fence: u64,
    until: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    now: u8,
    nodes: Vec<Node>,
    // Redis.
    held: Option<Held>,
    counted: u64,
    // The database.
    fence_next: u64,
    fence: u64,
    owners: Serial,
    // One who is sent output: the highest fence seen, and whose output was taken last.
    seen: u64,
    taken: Serial,
    is_broken: bool,
    has_come_back: bool,
    restarts_left: u8,
    losses_left: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Later,
    Claim(usize),
    /// Of one that was asked and may be replaced.
    ClaimOver(usize, u64),
    Renew(usize),
    Reach(usize),
    LoseQuestion(usize),
    LoseAnswer(usize),
    Answer(usize),
    Send(usize),
    Arrive(usize),
    RedisForgets,
}

fn at(second: u8) -> Duration {
    Duration::from_secs(second.into())
}

/// Time goes on by this: between the edges at 4 s and 5 s nothing else lies.
const STEP_S: u8 = 2;

impl World {
    fn living(&self) -> Option<&Held> {
        self.held.as_ref().filter(|held| held.until > self.now)
    }

    fn hold(&mut self, node: usize, fence: u64) {
        self.held = Some(Held { node, fence, until: self.now + lease::TTL.as_secs() as u8 });
    }

    fn reach_claim(&mut self, node: usize, ask: claim::Ask, variant: Variant) -> claim::Answer {
        match ask {
            claim::Ask::TakeFence if variant == Variant::CountedInRedis => {
                self.counted += 1;
                claim::Answer::Fence(self.counted)
            }
            claim::Ask::TakeFence => {
                self.fence_next += 1;
                claim::Answer::Fence(self.fence_next)
            }
            claim::Ask::TakeLease { fence, over } => {
                if self.living().is_some_and(|held| Some(held.fence) != over) {
                    return claim::Answer::HeldByAnother;
                }
                self.hold(node, fence);
                claim::Answer::Taken
            }
            claim::Ask::AcceptFence { fence } => {
                if variant != Variant::CountedInRedis {
                    if self.fence >= fence {
                        return claim::Answer::NotAccepted;
                    }
                    self.fence = fence;
                }
                self.owners += 1;
                self.nodes[node].serial = self.owners;
                claim::Answer::Accepted
            }
            claim::Ask::Release { fence } => {
                if self.held.as_ref().is_some_and(|held| (held.node, held.fence) == (node, fence)) {
                    self.held = None;
                }
                claim::Answer::Released
            }
        }
    }

    fn reach_renewal(&mut self, node: usize, fence: u64, ask: lease::Ask, variant: Variant) -> lease::Answer {
        let held = self.living().cloned();
        let is_ours = held.as_ref().is_some_and(|held| (held.node, held.fence) == (node, fence));
        match ask {
            lease::Ask::Renew | lease::Ask::Register if is_ours => {
                self.hold(node, fence);
                lease::Answer::Kept
            }
            lease::Ask::Register if held.as_ref().is_none_or(|held| held.fence < fence) => {
                self.hold(node, fence);
                self.has_come_back = true;
                lease::Answer::Kept
            }
            lease::Ask::Renew | lease::Ask::Register => lease::Answer::HeldBy(held.map(|held| held.fence)),
            // What the database would be asked for is not known there.
            _ if variant == Variant::CountedInRedis => lease::Answer::Accepted(fence),
            lease::Ask::ReadToRegister | lease::Ask::ReadAlone => lease::Answer::Accepted(self.fence),
        }
    }

    /// The question arrives where it is asked.
    fn reach(&mut self, node: usize, variant: Variant) {
        match self.nodes[node].role.clone() {
            Role::Claims(claiming, Call::Asked(ask, sent)) => {
                let answer = self.reach_claim(node, ask, variant);
                self.nodes[node].role = Role::Claims(claiming, Call::Answered(ask, answer, sent));
            }
            Role::Owns { lease, renewal: Some(Call::Asked(ask, sent)), asked } => {
                let answer = self.reach_renewal(node, lease.fence(), ask, variant);
                let renewal = Some(Call::Answered(ask, answer, sent));
                self.nodes[node].role = Role::Owns { lease, renewal, asked };
            }
            _ => {}
        }
    }

    /// The node hears the answer; None: that there is none.
    fn answer(&mut self, node: usize, is_lost: bool) {
        let now = self.now;
        let role = &mut self.nodes[node].role;
        *role = match role.clone() {
            Role::Claims(mut claiming, call) => {
                let (ask, answer, sent) = match call {
                    Call::Answered(ask, answer, sent) if !is_lost => (ask, answer, sent),
                    Call::Answered(ask, _, sent) | Call::Asked(ask, sent) => (ask, claim::Answer::None, sent),
                };
                match claiming.handle(ask, answer, at(sent)) {
                    claim::Next::Ask(ask) => Role::Claims(claiming, Call::Asked(ask, now)),
                    claim::Next::Done(claim::Verdict::Owned { fence, asked }) => {
                        let second = asked.as_secs() as u8;
                        Role::Owns { lease: Lease::new(fence, asked), renewal: None, asked: second }
                    }
                    claim::Next::Done(_) => Role::Idle,
                }
            }
            Role::Owns { mut lease, renewal: Some(call), asked } => {
                let (ask, answer, sent) = match call {
                    Call::Answered(ask, answer, sent) if !is_lost => (ask, answer, sent),
                    Call::Answered(ask, _, sent) | Call::Asked(ask, sent) => (ask, lease::Answer::None, sent),
                };
                match lease.handle(ask, answer, at(sent), at(now)) {
                    lease::Next::Ask(ask) => Role::Owns { lease, renewal: Some(Call::Asked(ask, now)), asked },
                    lease::Next::Done(lease::Verdict::Lost) => Role::Idle,
                    lease::Next::Done(_) => Role::Owns { lease, renewal: None, asked },
                }
            }
            other => other,
        };
    }

    fn arrive(&mut self, node: usize, variant: Variant) {
        let Some((fence, serial)) = self.nodes[node].sent.take() else { return };
        if variant != Variant::Unfenced && fence < self.seen {
            return;
        }
        self.seen = self.seen.max(fence);
        self.is_broken |= serial < self.taken;
        self.taken = self.taken.max(serial);
    }

    fn believing(&self) -> usize {
        let owns = |node: &&Node| matches!(&node.role, Role::Owns { lease, .. } if lease.clone().standing(at(self.now)) == Standing::Held);
        self.nodes.iter().filter(owns).count()
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let node = Node {
            role: Role::Idle,
            serial: 0,
            claims_left: self.bounds.claims,
            sends_left: self.bounds.sends,
            sent: None,
        };
        vec![World {
            now: 0,
            nodes: vec![node; NODES],
            held: None,
            counted: 0,
            fence_next: 0,
            fence: 0,
            owners: 0,
            seen: 0,
            taken: 0,
            is_broken: false,
            has_come_back: false,
            restarts_left: self.bounds.restarts,
            losses_left: self.bounds.losses,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.now < self.bounds.seconds {
            actions.push(Action::Later);
        }
        if world.restarts_left > 0 && world.held.is_some() {
            actions.push(Action::RedisForgets);
        }
        for (n, node) in world.nodes.iter().enumerate() {
            let is_under_way = match &node.role {
                Role::Idle => {
                    if node.claims_left > 0 {
                        let over = |held: &Held| Action::ClaimOver(n, held.fence);
                        actions.push(world.living().map_or(Action::Claim(n), over));
                    }
                    continue;
                }
                Role::Claims(_, call) => Some(matches!(call, Call::Asked(..))),
                Role::Owns { lease, renewal, asked } => {
                    if renewal.is_none() && *asked < world.now {
                        actions.push(Action::Renew(n));
                    }
                    let standing = lease.clone().standing(at(world.now));
                    if node.sends_left > 0
                        && node.sent.is_none()
                        && matches!(standing, Standing::Held | Standing::Suspended)
                    {
                        actions.push(Action::Send(n));
                    }
                    renewal.as_ref().map(|call| matches!(call, Call::Asked(..)))
                }
            };
            match is_under_way {
                Some(true) => actions.push(Action::Reach(n)),
                Some(false) => actions.push(Action::Answer(n)),
                None => {}
            }
            if world.losses_left > 0 {
                actions.extend(
                    is_under_way.map(|is_asked| if is_asked { Action::LoseQuestion(n) } else { Action::LoseAnswer(n) }),
                );
            }
        }
        actions.extend((0..NODES).filter(|n| world.nodes[*n].sent.is_some()).map(Action::Arrive));
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        let now = next.now;
        match action {
            Action::Later => next.now += STEP_S,
            Action::RedisForgets => {
                next.restarts_left -= 1;
                (next.held, next.counted) = (None, 0);
            }
            Action::Claim(n) | Action::ClaimOver(n, _) => {
                let over = if let Action::ClaimOver(_, fence) = action { Some(fence) } else { None };
                next.nodes[n].claims_left -= 1;
                next.nodes[n].role = Role::Claims(Claiming::new(over), Call::Asked(claim::Ask::TakeFence, now));
            }
            Action::Renew(n) => {
                if let Role::Owns { lease, renewal, asked } = &mut next.nodes[n].role {
                    // It runs, and so sees whether it stood still.
                    lease.standing(at(now));
                    *renewal = Some(Call::Asked(lease::Ask::Renew, now));
                    *asked = now;
                }
            }
            Action::Reach(n) => next.reach(n, self.variant),
            Action::Answer(n) => next.answer(n, false),
            Action::LoseQuestion(n) | Action::LoseAnswer(n) => {
                next.losses_left -= 1;
                next.answer(n, true);
            }
            Action::Send(n) => {
                let node = &mut next.nodes[n];
                node.sends_left -= 1;
                if let Role::Owns { lease, .. } = &mut node.role {
                    lease.standing(at(now));
                    node.sent = Some((lease.fence(), node.serial));
                }
            }
            Action::Arrive(n) => next.arrive(n, self.variant),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no older owner's output is taken after a newer one's", |_, world: &World| {
                !world.is_broken
            }),
            Property::sometimes("two nodes believe that they own it", |_, world: &World| world.believing() > 1),
            Property::sometimes("a second owner's output is taken", |_, world: &World| world.taken > 1),
            Property::sometimes("a lease comes back after Redis forgot it", |_, world: &World| world.has_come_back),
        ]
    }
}

const SAFE: &str = "no older owner's output is taken after a newer one's";

fn check(variant: Variant, bounds: Bounds) -> (usize, Option<Vec<Action>>, Vec<&'static str>) {
    let checker =
        Protocol { variant, bounds }.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let broken = checker.discovery(SAFE).map(stateright::Path::into_actions);
    let found: Vec<_> = checker.discoveries().into_keys().collect();
    println!("{variant:?}: {} states, found {found:?}, broken by {broken:?}", checker.unique_state_count());
    (checker.unique_state_count(), broken, found)
}

#[test]
fn at_most_one_owners_output_is_accepted() {
    let (states, broken, found) = check(Variant::Fenced, Bounds::new(0));
    assert_eq!(broken, None);
    assert_eq!(found.len(), 3, "what makes it worth checking does happen");
    assert!(states > 10_000, "{states}");
}

#[test]
fn nor_where_a_message_is_lost() {
    let (states, broken, _) = check(Variant::Fenced, Bounds { seconds: 4, ..Bounds::new(1) });
    assert_eq!(broken, None);
    assert!(states > 10_000, "{states}");
}

#[test]
fn without_the_fence_it_breaks() {
    assert!(check(Variant::Unfenced, Bounds::new(0)).1.is_some());
}

#[test]
fn with_the_fence_counted_in_redis_it_breaks() {
    assert!(check(Variant::CountedInRedis, Bounds::new(0)).1.is_some());
}
