//! What tasks share to wait for each other: locks, channels and barriers.
//!
//! The objects are the runtime's own where it has some for tasks on all of its threads, else those
//! of async-lock and async-channel, which work on every runtime. What is checked of them is counted
//! beside them. Never calls a runtime.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::clock::{Stamp, stamp};
use crate::plan::{Plan, PlannedChannel};

/// A lock for tasks, which are on several threads where the executor has several.
pub trait Mutex: Send + Sync + 'static {
    /// The type, as users of the runtime name it.
    const NAME: &'static str;
    /// Dropping it releases the lock.
    type Guard: 'static;

    fn make() -> Self;

    fn acquire(&'static self) -> impl Future<Output = Self::Guard>;
}

/// A bounded channel of many producers and many consumers.
pub trait Channel: Send + Sync + 'static {
    /// The type, as users of the runtime name it.
    const NAME: &'static str;

    fn make(capacity: usize) -> Self;

    /// Waits until there is room.
    fn send(&'static self, message: Message) -> impl Future<Output = io::Result<()>>;

    /// Waits until there is a message.
    fn receive(&'static self) -> impl Future<Output = io::Result<Message>>;
}

/// All of a number of tasks wait until the last of them has arrived; then the next round begins.
pub trait Barrier: Send + Sync + 'static {
    /// The type, as users of the runtime name it.
    const NAME: &'static str;

    fn make(tasks: usize) -> Self;

    fn wait(&'static self) -> impl Future<Output = ()>;
}

/// The three types of a runtime, written as a tuple.
pub trait Shared: 'static {
    type Mutex: Mutex;
    type Channel: Channel;
    type Barrier: Barrier;
}

impl<M: Mutex, C: Channel, B: Barrier> Shared for (M, C, B) {
    type Mutex = M;
    type Channel = C;
    type Barrier = B;
}

/// For runtimes that have none of their own for tasks on all of their threads.
pub type ForAnyRuntime = (async_lock::Mutex<()>, AsyncChannel, async_lock::Barrier);

/// What a channel carries: so much that a lost, doubled or overtaken one shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    producer: u32,
    /// From 1 on, for each producer.
    number: u64,
}

impl Mutex for async_lock::Mutex<()> {
    const NAME: &'static str = "async_lock::Mutex";
    type Guard = async_lock::MutexGuard<'static, ()>;

    fn make() -> Self {
        Self::new(())
    }

    fn acquire(&'static self) -> impl Future<Output = Self::Guard> {
        self.lock()
    }
}

/// Of async-channel.
pub struct AsyncChannel {
    sender: async_channel::Sender<Message>,
    receiver: async_channel::Receiver<Message>,
}

impl Channel for AsyncChannel {
    const NAME: &'static str = "async_channel";

    fn make(capacity: usize) -> Self {
        let (sender, receiver) = async_channel::bounded(capacity);
        Self { sender, receiver }
    }

    async fn send(&'static self, message: Message) -> io::Result<()> {
        self.sender.send(message).await.map_err(io::Error::other)
    }

    async fn receive(&'static self) -> io::Result<Message> {
        self.receiver.recv().await.map_err(io::Error::other)
    }
}

impl Barrier for async_lock::Barrier {
    const NAME: &'static str = "async_lock::Barrier";

    fn make(tasks: usize) -> Self {
        Self::new(tasks)
    }

    async fn wait(&'static self) {
        async_lock::Barrier::wait(self).await;
    }
}

/// Everything that the tasks of a trial share, by the indexes of the plan.
pub(crate) struct SharedObjects {
    pub(crate) locks: Vec<LockState>,
    pub(crate) channels: Vec<ChannelState>,
    pub(crate) barriers: Vec<BarrierState>,
}

impl SharedObjects {
    pub(crate) fn of(plan: &Plan) -> Self {
        let locks = plan.locks.iter().map(|name| LockState::new(name.clone()));
        let barriers = plan.barriers.iter().map(|tasks| BarrierState::new(*tasks));
        Self {
            locks: locks.collect(),
            channels: plan.channels.iter().map(ChannelState::new).collect(),
            barriers: barriers.collect(),
        }
    }

    /// The types that were used, by what they are for.
    pub(crate) fn types(&self) -> BTreeMap<String, String> {
        let locks = self.locks.iter().map(|lock| ("lock", &lock.object));
        let channels = self.channels.iter().map(|channel| ("channel", &channel.object));
        let barriers = self.barriers.iter().map(|barrier| ("barrier", &barrier.object));
        let all = locks.chain(channels).chain(barriers);
        all.filter_map(|(what, object)| Some((what.to_owned(), object.name()?.to_owned())))
            .collect()
    }
}

/// One object, made by the first task that uses it: the scene does not know the runtime's types.
#[derive(Default)]
pub(crate) struct Object(OnceLock<(&'static str, Box<dyn Any + Send + Sync>)>);

impl Object {
    pub(crate) fn mutex<T: Mutex>(&self) -> &T {
        self.made(T::NAME, T::make)
    }

    pub(crate) fn channel<T: Channel>(&self, capacity: usize) -> &T {
        self.made(T::NAME, || T::make(capacity))
    }

    pub(crate) fn barrier<T: Barrier>(&self, tasks: u32) -> &T {
        self.made(T::NAME, || T::make(tasks as usize))
    }

    fn made<T: Any + Send + Sync>(&self, name: &'static str, make: impl FnOnce() -> T) -> &T {
        let (_, made) = self.0.get_or_init(|| (name, Box::new(make())));
        made.downcast_ref().expect("all tasks of a process are of one runtime")
    }

    fn name(&self) -> Option<&'static str> {
        self.0.get().map(|(name, _)| *name)
    }
}

/// A lock, and how many tasks are inside it.
pub(crate) struct LockState {
    pub(crate) object: Object,
    name: String,
    inside: AtomicU32,
}

/// A task that is inside a lock.
pub(crate) struct Inside(&'static AtomicU32);

impl LockState {
    fn new(name: String) -> Self {
        Self { object: Object::default(), name, inside: AtomicU32::new(0) }
    }

    /// To be called by the task that has just got the lock, and dropped before the lock is released.
    pub(crate) fn enter(&'static self) -> Result<Inside, String> {
        let others = self.inside.fetch_add(1, Ordering::AcqRel);
        let inside = Inside(&self.inside);
        if others == 0 {
            return Ok(inside);
        }
        Err(format!("lock: {others} other tasks were inside `{}` when a task got it", self.name))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A barrier, and how many tasks have arrived at it so far, in all rounds.
pub(crate) struct BarrierState {
    pub(crate) object: Object,
    pub(crate) tasks: u32,
    arrived: AtomicU64,
    /// When the last task of a round arrived. One place is enough: the last of the next round
    /// arrives when all have read it.
    released: AtomicU64,
}

impl BarrierState {
    fn new(tasks: u32) -> Self {
        let (arrived, released) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { object: Object::default(), tasks, arrived, released }
    }

    /// To be called just before the wait. Returns how many have to have arrived after it.
    pub(crate) fn arrive(&self) -> u64 {
        let tasks = u64::from(self.tasks);
        let before = self.arrived.fetch_add(1, Ordering::AcqRel);
        if (before + 1).is_multiple_of(tasks) {
            // No task is released before this one waits too.
            self.released.store(stamp(), Ordering::Release);
        }
        (before / tasks + 1) * tasks
    }

    /// When the last task had arrived; an error where it had not.
    pub(crate) fn released(&self, expected: u64) -> Result<Stamp, String> {
        let arrived = self.arrived.load(Ordering::Acquire);
        if arrived < expected {
            return Err(format!(
                "barrier: it let a task go on before {} of its {} tasks had arrived",
                expected - arrived,
                self.tasks
            ));
        }
        Ok(self.released.load(Ordering::Acquire))
    }
}

/// A channel, and what has been sent and received.
pub(crate) struct ChannelState {
    pub(crate) object: Object,
    pub(crate) capacity: usize,
    name: String,
    consumers: u32,
    /// The number of each producer's last message. Only that task changes it.
    sent: Vec<AtomicU64>,
    /// How many messages of each producer were received.
    received: Vec<AtomicU64>,
    /// The last number that each consumer has received of each producer. Only that consumer
    /// changes it.
    last: Vec<AtomicU64>,
}

impl ChannelState {
    fn new(plan: &PlannedChannel) -> Self {
        let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        let producers = plan.producers as usize;
        Self {
            object: Object::default(),
            capacity: plan.capacity as usize,
            name: plan.name.clone(),
            consumers: plan.consumers,
            sent: zeros(producers),
            received: zeros(producers),
            last: zeros(producers * plan.consumers as usize),
        }
    }

    /// The next message of a producer.
    pub(crate) fn next(&self, producer: u32) -> Message {
        let sent = &self.sent[producer as usize];
        let number = sent.load(Ordering::Relaxed) + 1;
        sent.store(number, Ordering::Relaxed);
        Message { producer, number }
    }

    /// Checks a message against the last that this consumer has received from the same producer.
    pub(crate) fn check(&self, consumer: u32, message: Message) -> Result<(), String> {
        let Message { producer, number } = message;
        let last = &self.last[self.sent.len() * consumer as usize + producer as usize];
        let before = last.load(Ordering::Relaxed);
        last.store(number, Ordering::Relaxed);
        self.received[producer as usize].fetch_add(1, Ordering::Release);
        let follows = if self.consumers == 1 { number == before + 1 } else { number > before };
        if follows {
            return Ok(());
        }
        Err(format!(
            "channel: message {number} of a producer came out of `{}` after its message {before}",
            self.name
        ))
    }

    /// To be called at the end of a trial, while consumers may go on: each may hold a message that
    /// it has not counted yet.
    pub(crate) fn check_complete(&self) -> Result<(), String> {
        let producers = self.sent.len();
        for producer in 0..producers {
            let received = || self.received[producer].load(Ordering::Acquire);
            // Read before and after the last number, which grows meanwhile: more than that were
            // received only where some came twice, and fewer only where some are missing.
            let before = received();
            let of_consumers = self.last.iter().skip(producer).step_by(producers);
            let last = of_consumers.map(|last| last.load(Ordering::Acquire)).max().unwrap_or(0);
            let after = received();
            let count = if before > last { before } else { after };
            if before > last || after + u64::from(self.consumers) < last {
                return Err(format!(
                    "channel: of the first {last} messages of a producer, {count} came out of `{}`",
                    self.name
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(producers: u32, consumers: u32) -> ChannelState {
        let name = "jobs".to_owned();
        ChannelState::new(&PlannedChannel { name, capacity: 4, producers, consumers })
    }

    fn lock_state() -> &'static LockState {
        Box::leak(Box::new(LockState::new("l".to_owned())))
    }

    #[test]
    fn a_second_task_inside_a_lock_is_wrong() {
        let state = lock_state();
        let first = state.enter().unwrap();
        assert!(state.enter().is_err_and(|wrong| wrong.contains("1 other tasks")));
        drop(first);
        assert!(state.enter().is_ok());
    }

    #[test]
    fn a_barrier_that_opens_early_is_wrong() {
        let state = BarrierState::new(3);
        for round in 1..4 {
            let expected: Vec<u64> = (0..2).map(|_| state.arrive()).collect();
            assert_eq!(expected, [3 * round, 3 * round]);
            let wrong = state.released(expected[0]).unwrap_err();
            assert!(wrong.contains("before 1 of its 3"), "{wrong}");
            let before = stamp();
            state.arrive();
            assert!(state.released(expected[0]).is_ok_and(|released| released >= before));
        }
    }

    #[test]
    fn lost_doubled_and_overtaken_messages_are_wrong() {
        let of = |number| Message { producer: 1, number };
        for numbers in [[1, 3], [1, 1], [2, 1]] {
            let state = channel(2, 1);
            assert!(numbers.iter().any(|number| state.check(0, of(*number)).is_err()));
        }
        let state = channel(2, 1);
        assert!((1..9).all(|number| state.check(0, of(number)).is_ok()));
        assert_eq!(state.check_complete(), Ok(()));
    }

    #[test]
    fn consumers_together_receive_every_message_once() {
        let of = |number| Message { producer: 0, number };
        let share = |numbers: &[u64]| {
            let state = channel(1, 2);
            let share = |number: &u64| state.check((*number % 2) as u32, of(*number));
            assert!(numbers.iter().all(|number| share(number).is_ok()));
            state.check_complete().is_ok()
        };
        assert!(share(&[1, 2, 3, 4]));
        // One may be in the hands of a consumer.
        assert!(share(&[1, 2, 4]));
        assert!(!share(&[2, 5]));
        // Both have received the same.
        let state = channel(1, 2);
        assert!((0..2).all(|consumer| state.check(consumer, of(1)).is_ok()));
        assert!(state.check_complete().is_err());
    }

    #[test]
    fn producers_count_by_themselves() {
        let state = channel(2, 1);
        let numbers = [0, 0, 1, 0].map(|producer| state.next(producer).number);
        assert_eq!(numbers, [1, 2, 1, 3]);
    }
}
