pub mod wrapper_cost;
