//! Our pool over its own HTTP connections, with its own health checks.
//!
//! Everything is at its default but balancer and hedging, and what an operator knows: whose account each node is on, how many
//! blocks a node may be behind (the value of `pools.example.yaml`), and, with each call, the block that the answer must know
//! of. An attempt is given up after the same time as everybody's.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use pool_core::{EndpointConfig, EndpointId, Pool, PoolId, Provider, ProviderConfig, ProviderId};
use pool_rpc::{JsonRpcEndpoint, Probe, ProxySetting, RpcCall, RpcConfig, Timeouts};

use crate::suites::{
    live::{
        contestant::{Answer, Arena, Client, Contestant},
        wire,
    },
    trace::{
        contestant::{ATTEMPT, BoxFuture, Contestant as _, DEADLINE, Side},
        contestants as simulated,
        node::{Call, NodeError},
    },
};

/// The devnet's chain.
const CHAIN: u64 = 1;

/// The contestant: a configuration of the simulated traces.
pub(super) struct Ours(simulated::Ours);

impl Ours {
    pub(super) const fn new(configured: simulated::Ours) -> Self {
        Self(configured)
    }
}

impl Contestant for Ours {
    fn name(&self) -> String {
        self.0.name()
    }

    fn side(&self) -> Side {
        Side::Ours
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Result<Arc<dyn Client>>> {
        let (config, balancer) = (self.0.config(), self.0.balancer);
        Box::pin(async move {
            let mut builder = Pool::builder(PoolId::new("live")?)
                .config(config)
                .balancer(balancer.build())
                .seed(arena.seed);
            let mut providers: Vec<usize> = arena.places.iter().map(|place| place.provider).collect();
            providers.dedup();
            for provider in providers {
                builder = builder.provider(Provider::new(id_of(provider)?, &ProviderConfig::default())?);
            }
            for place in &arena.places {
                let config = RpcConfig::new(place.url().parse()?, Probe::Evm { chain_id: CHAIN })
                    .proxy(ProxySetting::none())
                    .timeouts(Timeouts {
                        response: ATTEMPT,
                        ..Timeouts::default()
                    });
                let settings = EndpointConfig::default().provider(id_of(place.provider)?);
                let id = EndpointId::new(format!("node-{}", place.id))?;
                builder = builder.endpoint(id, JsonRpcEndpoint::new(&config)?, settings);
            }
            let pool = builder.build()?;
            pool.ready(Duration::from_secs(10)).await;
            let call = RpcCall::of(wire::METHOD, &wire::params())?;
            Ok(Arc::new(Caller { pool, call }) as Arc<dyn Client>)
        })
    }
}

fn id_of(provider: usize) -> Result<ProviderId> {
    Ok(ProviderId::new(format!("provider-{provider}"))?)
}

struct Caller {
    pool: Pool<JsonRpcEndpoint>,
    call: RpcCall,
}

impl Client for Caller {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        let (pool, asked) = (self.pool.clone(), self.call.clone());
        Box::pin(async move {
            let request = asked.pool_request().timeout(DEADLINE).min_position(call.block);
            // whatever kept the pool from an answer, its caller has none
            let result = pool
                .run(&asked, &request)
                .await
                .map_err(|_| NodeError::TimedOut)?;
            let text: String = serde_json::from_str(result.get()).map_err(|_| NodeError::Payload)?;
            let block = wire::block(&text).ok_or(NodeError::Payload)?;
            // the pool compares ids, and hands out no answer to another
            Ok(Answer { block, own: true })
        })
    }
}
