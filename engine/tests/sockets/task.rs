//! What an app awaits beside its request: timers, tasks, work on threads that may block.

use crate::app::Gate;
use crate::server::{PATIENCE, serve};
use lanner::{BlockingError, Count, Request, Response};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

on_every_driver! {
    fn a_sleep_is_never_too_short_and_not_much_too_long(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            let millis = request.path()[1..].parse()?;
            let began = Instant::now();
            lanner::sleep(Duration::from_millis(millis)).await;
            let took = began.elapsed();
            assert!(took >= Duration::from_millis(millis), "{took:?}");
            Ok(Response::text(took.as_millis().to_string()))
        });
        let mut client = server.connect();
        for millis in [0u64, 1, 20, 90] {
            let answer = client.get(&format!("/{millis}"));
            assert_eq!(answer.status, 200, "{millis}");
            let took: u64 = answer.text().parse().unwrap();
            assert!(took < millis + 500, "{took} for {millis}");
        }
    }

    fn sleeps_end_in_the_order_of_their_lengths(on) {
        let server = serve(on, |_| {}, |_: Request| async {
            let order = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
            let tasks: Vec<_> = [60u64, 20, 40, 20]
                .into_iter()
                .map(|millis| {
                    let order = order.clone();
                    lanner::spawn_local(async move {
                        lanner::sleep(Duration::from_millis(millis)).await;
                        order.borrow_mut().push(millis);
                    })
                })
                .collect();
            for task in tasks {
                task.await?;
            }
            Ok(Response::text(format!("{:?}", order.borrow())))
        });
        assert_eq!(server.connect().get("/").text(), "[20, 20, 40, 60]");
    }

    fn a_sleep_that_was_dropped_wakes_nobody(on) {
        let server = serve(on, |_| {}, |_: Request| async {
            let mut polls = 0;
            let mut long = std::pin::pin!(lanner::sleep(Duration::from_millis(80)));
            {
                let mut short = Box::pin(lanner::sleep(Duration::from_millis(20)));
                std::future::poll_fn(|context| {
                    let _ = short.as_mut().poll(context);
                    Poll::Ready(())
                })
                .await;
            }
            std::future::poll_fn(|context| {
                polls += 1;
                long.as_mut().poll(context)
            })
            .await;
            Ok(Response::text(polls.to_string()))
        });
        // Once to begin and once to end.
        assert_eq!(server.connect().get("/").text(), "2");
    }

    fn a_sleep_longer_than_time_does_not_end(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            if request.path() == "/forever" {
                lanner::sleep(Duration::MAX).await;
            }
            Ok(Response::text("here"))
        });
        let mut client = server.connect();
        client.ask("/forever");
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        assert_eq!(server.connect().get("/").text(), "here");
        assert!(client.hears_nothing());
        client.reset();
    }

    fn a_spawned_task_outlives_its_request(on) {
        let (sender, events) = channel();
        let gate = Gate::default();
        let waiting = gate.clone();
        let server = serve(on, |_| {}, move |_: Request| {
            let (sender, gate) = (sender.clone(), waiting.clone());
            drop(lanner::spawn_local(async move {
                gate.pass().await;
                lanner::sleep(Duration::from_millis(5)).await;
                sender.send("done").unwrap();
            }));
            async { Ok(Response::text("answered")) }
        });
        assert_eq!(server.connect().get("/").text(), "answered");
        server.until_open(0);
        gate.open();
        assert_eq!(events.recv_timeout(PATIENCE), Ok("done"));
    }

    fn tasks_that_wake_themselves_starve_nobody(on) {
        let server = serve(on, |_| {}, |request: Request| async move {
            if request.path() == "/spin" {
                for _ in 0..8 {
                    drop(lanner::spawn_local(std::future::poll_fn(|context| {
                        context.waker().wake_by_ref();
                        Poll::<()>::Pending
                    })));
                }
            }
            lanner::sleep(Duration::from_millis(2)).await;
            Ok(Response::text("served"))
        });
        let mut client = server.connect();
        client.get("/spin");
        for _ in 0..20 {
            assert_eq!(client.get("/").text(), "served");
        }
    }

    fn blocking_work_holds_nobody_up(on) {
        let (release, released) = channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let server = serve(on, |_| {}, move |request: Request| {
            let released = released.clone();
            async move {
                if request.path() == "/block" {
                    let thread = lanner::blocking(move || {
                        released.lock().unwrap().recv().unwrap();
                        std::thread::current().name().map(str::to_owned)
                    });
                    return Ok(Response::text(thread.await?.unwrap_or_default()));
                }
                Ok(Response::text("at once"))
            }
        });
        let mut blocked = server.connect();
        blocked.ask("/block");
        server.until("dispatched", |counters| counters.count(Count::Requests) == 1);
        for _ in 0..3 {
            assert_eq!(server.connect().get("/").text(), "at once");
        }
        release.send(()).unwrap();
        assert_eq!(blocked.answer().text(), "lanner-blocking");
    }

    fn a_full_queue_of_blocking_work_is_an_error_at_once(on) {
        let (release, released) = channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let done = Arc::new(AtomicUsize::new(0));
        let counting = done.clone();
        let server = serve(on, |_| {}, move |_: Request| {
            let (released, done) = (released.clone(), counting.clone());
            async move {
                let mut submitted = 0;
                let refusal = loop {
                    let (released, done) = (released.clone(), done.clone());
                    let mut work = lanner::blocking(move || {
                        // Ends when the test drops its end.
                        let _ = released.lock().unwrap().recv();
                        done.fetch_add(1, Ordering::SeqCst);
                    });
                    let polled = std::future::poll_fn(|context| {
                        Poll::Ready(std::pin::Pin::new(&mut work).poll(context))
                    });
                    match polled.await {
                        Poll::Ready(refusal) => break refusal,
                        Poll::Pending => submitted += 1,
                    }
                };
                assert_eq!(refusal, Err(BlockingError::QueueFull));
                Ok(Response::text(submitted.to_string()))
            }
        });
        let submitted: usize = server.connect().get("/").text().parse().unwrap();
        assert!((1024..=1024 + 32).contains(&submitted), "{submitted}");
        drop(release);
        // What was taken is done although nobody waits for it.
        crate::server::until(|| done.load(Ordering::SeqCst) == submitted, || format!("{done:?} done"));
    }
}
